package io.wsisam.client.annotations;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.client.WsiSamClient;
import io.wsisam.client.connection.ClientOptions;
import io.wsisam.client.connection.ClientReason;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.segmentation.BoxPrompt;
import io.wsisam.client.segmentation.FieldChoice;
import io.wsisam.client.segmentation.Level;
import io.wsisam.client.segmentation.PolygonPart;
import io.wsisam.client.segmentation.PromptRequest;
import io.wsisam.client.segmentation.PromptResult;
import io.wsisam.client.segmentation.Refinement;
import io.wsisam.client.segmentation.SegmentOptions;
import io.wsisam.client.slides.Slide;
import io.wsisam.support.Discs;
import io.wsisam.support.RealServer;
import io.wsisam.support.SharedServer;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Annotations in the store of the real server. */
@Timeout(300)
class AnnotationsTest {
  private static final AnnotationShape TRIANGLE =
      AnnotationShape.areas(List.of(new PolygonPart(new double[] {10, 10, 60.1, 10, 10, 60.7}, List.of())));

  private WsiSamClient client;
  private Slide slide;

  @BeforeEach
  void connect() {
    client = WsiSamClient.connect(SharedServer.get().address());
    slide = WsiSamClient.await(client.openSlide(Discs.reference()));
  }

  @AfterEach
  void close() throws InterruptedException {
    client.close();
    assertTrue(client.awaitClosed(Duration.ofSeconds(10)));
  }

  private static String id() {
    return UUID.randomUUID().toString();
  }

  private SavedRevision save(StoredAnnotation annotation) {
    return WsiSamClient.await(client.annotations().save(List.of(annotation), "tester", List.of(slide))).get(0);
  }

  private StoredAnnotation get(String id) {
    return WsiSamClient.await(client.annotations().get(id));
  }

  @Test
  void anAcceptedOutlineIsKeptWithWhatMadeIt() {
    PromptResult result =
        WsiSamClient.await(client.segment(slide, PromptRequest.of(Discs.around(0)), SegmentOptions.defaults()));
    String id = id();
    StoredAnnotation mine =
        StoredAnnotation.of(id, slide, result)
            .withClass("Tumor: Positive", 0xc80000)
            .withName("one")
            .withProject("study")
            .withLocked(true)
            .withRgb(0x00ff00)
            .withMeasurements(Map.of("area", 12.5))
            .withMetadata(Map.of("wsisam.client", WsiSamClient.version()));
    SavedRevision saved = save(mine);
    assertEquals(id, saved.id());
    assertFalse(saved.unchanged());
    StoredAnnotation read = get(id);
    assertEquals(saved.revision(), read.revision());
    assertEquals(mine.slideId(), read.slideId());
    assertArrayEquals(result.outline().parts().get(0).outer().clone(), read.shape().parts().get(0).outer(), "the grid is kept");
    assertEquals("Tumor: Positive", read.className());
    assertEquals(0xc80000, read.classRgb());
    assertEquals(0x00ff00, read.rgb());
    assertEquals(mine.measurements(), read.measurements());
    assertEquals(mine.metadata(), read.metadata());
    assertEquals(mine.provenance().prompt(), read.provenance().prompt());
    assertEquals(mine.provenance().window(), read.provenance().window());
    assertEquals(mine.provenance().weightsHash(), read.provenance().weightsHash());
    assertEquals(mine.provenance().score(), read.provenance().score(), 1e-6);
    assertEquals("tester", read.author());
    assertTrue(read.locked() && !read.deleted());
    assertTrue(Duration.between(read.createTime(), Instant.now()).toMinutes() < 5);
  }

  @Test
  void aChangeThatWasWrittenDownIsMadeOnceHoweverOftenItIsSent() {
    String id = id();
    StoredAnnotation drawn = StoredAnnotation.drawn(id, slide.annotationKey(), TRIANGLE).withName("kept");
    byte[] written = AnnotationChange.save(drawn, "tester", List.of(slide)).toBytes();
    SavedRevision saved = WsiSamClient.await(client.annotations().send(AnnotationChange.parse(written)));
    byte[] deletion = AnnotationChange.delete(id, 0, "tester").madeTo(saved.revision()).toBytes();
    SavedRevision gone = WsiSamClient.await(client.annotations().send(AnnotationChange.parse(deletion)));
    // Its answer was lost, and another process sends it after that: it is not saved anew over the deletion.
    assertEquals(saved, WsiSamClient.await(client.annotations().send(AnnotationChange.parse(written))));
    assertEquals(gone, WsiSamClient.await(client.annotations().send(AnnotationChange.parse(deletion))));
    List<StoredAnnotation> history = WsiSamClient.await(client.annotations().revisions(id));
    assertEquals(List.of(false, true), history.stream().map(StoredAnnotation::deleted).toList());
    StoredAnnotation again = drawn.withRevision(gone.revision());
    WsiSamClient.await(client.annotations().send(AnnotationChange.save(again, "tester", List.of())));
    assertFalse(get(id).deleted());
  }

  @Test
  void theScalesOfARefinedBorderAreKeptAlsoWhenAnotherFieldChanges() {
    PromptRequest coarse = PromptRequest.of(Discs.around(1)).in(FieldChoice.downsample(8));
    PromptResult one = WsiSamClient.await(client.segment(slide, coarse, SegmentOptions.defaults()));
    assertEquals(List.of(), Provenance.of(one).levels());
    PromptResult two = WsiSamClient.await(client.segment(slide, coarse.refined(Refinement.to(1)), SegmentOptions.defaults()));
    assertEquals(List.of(8.0, 4.0, 2.0, 1.0), two.outline().levels().stream().map(Level::downsample).toList());
    String id = id();
    save(StoredAnnotation.of(id, slide, two));
    StoredAnnotation read = get(id);
    assertEquals(two.outline().levels(), read.provenance().levels());
    save(read.withName("renamed"));
    assertEquals(two.outline().levels(), get(id).provenance().levels());
  }

  @Test
  void linesPointsAndHolesComeBackExactly() {
    AnnotationShape holes =
        AnnotationShape.areas(
            List.of(
                new PolygonPart(new double[] {0, 0, 100, 0, 100, 100, 0, 100}, List.of(new double[] {10.3, 10, 20, 10, 20, 20.9}))));
    AnnotationShape lines = AnnotationShape.lines(List.of(new double[] {1.5, 2.25, 3.7, 4}, new double[] {0, 0, 9, 9}));
    AnnotationShape points = AnnotationShape.points(1.1, 2.2, 3.3, 4.4);
    for (AnnotationShape shape : List.of(holes, lines, points)) {
      String id = id();
      save(StoredAnnotation.drawn(id, slide.annotationKey(), shape));
      AnnotationShape read = get(id).shape();
      assertEquals(shape.kind(), read.kind());
      assertEquals(vertices(shape), vertices(read));
    }
  }

  private static long vertices(AnnotationShape shape) {
    return shape.parts().stream()
        .mapToLong(part -> part.outer().length + part.holes().stream().mapToLong(hole -> hole.length).sum())
        .sum();
  }

  @Test
  void aChangeToAnOldRevisionIsRefusedAndNothingIsLost() {
    String id = id();
    save(StoredAnnotation.drawn(id, slide.annotationKey(), TRIANGLE));
    StoredAnnotation mine = get(id);
    save(mine.withName("changed by a colleague"));
    long begin = System.nanoTime();
    WsiSamException conflict = assertThrows(WsiSamException.class, () -> save(mine.withName("changed by me")));
    assertTrue(System.nanoTime() - begin < 20e9, "a conflict does not go away by trying again");
    assertEquals("ABORTED", conflict.status());
    assertEquals("REVISION_CONFLICT", conflict.reason());
    assertEquals("changed by a colleague", get(id).name());
    assertTrue(save(get(id)).unchanged());
  }

  @Test
  void whatIsDeletedIsListedOnlyWhenAskedFor() {
    String project = "project " + id();
    List<StoredAnnotation> three =
        IntStream.range(0, 3)
            .mapToObj(i -> StoredAnnotation.drawn(id(), slide.annotationKey(), TRIANGLE).withProject(project).withClass("c" + i, null))
            .toList();
    WsiSamClient.await(client.annotations().save(three, "tester", List.of(slide)));
    AnnotationQuery ours = AnnotationQuery.all().ofProject(project);
    AnnotationList all = WsiSamClient.await(client.annotations().list(ours));
    assertEquals(three.stream().map(StoredAnnotation::id).toList(), all.annotations().stream().map(StoredAnnotation::id).toList());
    WsiSamClient.await(client.annotations().delete(all.annotations().subList(0, 1), "tester"));
    assertEquals(2, count(ours));
    assertEquals(3, count(ours.andDeleted()));
    assertEquals(1, count(ours.andDeleted().after(all.revision())));
    assertEquals(1, count(ours.ofClass("c2")));
    assertEquals(2, count(ours.onSlide(slide.annotationKey())));
    assertEquals(2, count(ours.at(slide.reference().uris().get(0))));
    assertEquals(0, count(ours.in(new BoxPrompt(500, 500, 600, 600))));
    assertEquals(0, count(ours.by("somebody else")));
    assertTrue(get(three.get(0).id()).deleted());
    assertFalse(all.storeId().isEmpty());
  }

  @Test
  void allThatAnAnnotationWasCanBeReadAndBroughtBack() {
    String id = id();
    save(StoredAnnotation.drawn(id, slide.annotationKey(), TRIANGLE).withName("first"));
    save(get(id).withName("second"));
    WsiSamClient.await(client.annotations().delete(List.of(get(id)), "tester"));
    List<StoredAnnotation> history = WsiSamClient.await(client.annotations().revisions(id));
    assertEquals(List.of("first", "second", "second"), history.stream().map(StoredAnnotation::name).toList());
    assertEquals(List.of(false, false, true), history.stream().map(StoredAnnotation::deleted).toList());
    WsiSamClient.await(client.annotations().restore(List.of(get(id)), null, "tester"));
    assertEquals("second", get(id).name());
    assertFalse(get(id).deleted());
    WsiSamClient.await(client.annotations().restore(List.of(get(id)), history.get(0).revision(), "tester"));
    assertEquals("first", get(id).name());
    WsiSamException missing =
        assertThrows(WsiSamException.class, () -> WsiSamClient.await(client.annotations().revisions(id())));
    assertEquals("ANNOTATION_NOT_FOUND", missing.reason());
  }

  @Test
  void aNewNameIsSavedWithoutTheShape() {
    String id = id();
    Map<String, Double> measured = Map.of("area", 12.5);
    save(StoredAnnotation.drawn(id, slide.annotationKey(), TRIANGLE).withName("old").withMeasurements(measured));
    StoredAnnotation read = get(id);
    SavedRevision saved =
        WsiSamClient.await(
                client
                    .annotations()
                    .saveFields(
                        List.of(read.withName("new").withClass("Tumor", null).withLocked(true)),
                        Set.of(AnnotationField.NAME, AnnotationField.PATH_CLASS),
                        "tester"))
            .get(0);
    StoredAnnotation found = get(id);
    assertEquals(saved.revision(), found.revision());
    assertEquals("new", found.name());
    assertEquals("Tumor", found.className());
    assertFalse(found.locked(), "the lock was not among the fields");
    assertEquals(measured, found.measurements());
    assertArrayEquals(read.shape().parts().get(0).outer(), found.shape().parts().get(0).outer());
    WsiSamClient.await(
        client.annotations().saveFields(List.of(found.withClass("", null)), Set.of(AnnotationField.PATH_CLASS), "tester"));
    assertEquals("", get(id).className());
    WsiSamException stale =
        assertThrows(
            WsiSamException.class,
            () ->
                WsiSamClient.await(
                    client
                        .annotations()
                        .saveFields(List.of(read.withName("stale")), Set.of(AnnotationField.NAME), "tester")));
    assertEquals("REVISION_CONFLICT", stale.reason());
    assertThrows(
        IllegalArgumentException.class, () -> client.annotations().saveFields(List.of(found), Set.of(), "tester"));
  }

  @Test
  void theStoreAndItsSlidesAreKnown() {
    String id = id();
    SavedRevision saved = save(StoredAnnotation.drawn(id, slide.annotationKey(), TRIANGLE));
    StoreInfo store = WsiSamClient.await(client.annotations().store());
    assertEquals(WsiSamClient.await(client.annotations().list(AnnotationQuery.all())).storeId(), store.id());
    assertTrue(store.revision() >= saved.revision());
    assertTrue(store.schemaVersion().startsWith("wsisam_"));
    StoredSlide ours =
        WsiSamClient.await(client.annotations().slides()).stream()
            .filter(one -> one.slideId().equals(slide.annotationKey()))
            .findFirst()
            .orElseThrow();
    assertEquals(count(AnnotationQuery.all().onSlide(slide.annotationKey())), ours.annotations());
    assertTrue(ours.revision() >= saved.revision());
    assertEquals(slide.width(), ours.width());
    assertTrue(ours.uris().contains(slide.reference().uris().get(0)));
  }

  @Test
  void aWatchTellsEachChangeOnceAlsoOverARestart(@TempDir Path folder) throws Exception {
    try (RealServer server = RealServer.start(folder);
        WsiSamClient other =
            WsiSamClient.connect(
                ClientOptions.to(server.address()).withRetry(Duration.ofMillis(100), Duration.ofSeconds(1)))) {
      Changes changes = new Changes();
      String project = "project " + id();
      Watch watch = other.annotations().watch(AnnotationQuery.all().ofProject(project), changes);
      StoredAnnotation one = StoredAnnotation.drawn(id(), "slide", TRIANGLE).withProject(project).withName("one");
      WsiSamClient.await(other.annotations().save(List.of(one), "tester", List.of()));
      assertEquals("one", changes.next().name());
      server.kill();
      server.restart();
      StoredAnnotation two = StoredAnnotation.drawn(id(), "slide", TRIANGLE).withProject(project).withName("two");
      StoredAnnotation elsewhere = StoredAnnotation.drawn(id(), "slide", TRIANGLE).withName("elsewhere");
      WsiSamClient.await(other.annotations().save(List.of(elsewhere, two), "tester", List.of()));
      assertEquals("two", changes.next().name());
      assertTrue(changes.lost.get() >= 1);
      watch.close();
      WsiSamClient.await(other.annotations().save(List.of(StoredAnnotation.drawn(id(), "slide", TRIANGLE).withProject(project)), "tester", List.of()));
      assertEquals(0, changes.told.size());
      assertTrue(changes.ends.isEmpty());
    }
  }

  @Test
  void aWatchThatCannotGoOnSaysWhyOnce() throws InterruptedException {
    Changes changes = new Changes();
    client.annotations().watch(AnnotationQuery.all().after(1_000_000_000), changes);
    assertEquals("REVISION_AHEAD", changes.end().reason());
    Changes closed = new Changes();
    client.annotations().watch(AnnotationQuery.all().after(count(AnnotationQuery.all())), closed);
    client.close();
    assertEquals(ClientReason.CLIENT_CLOSED, closed.end().reason());
  }

  private static final class Changes implements WatchListener {
    final BlockingQueue<StoredAnnotation> told = new LinkedBlockingQueue<>();
    final BlockingQueue<WsiSamException> ends = new LinkedBlockingQueue<>();
    final AtomicInteger lost = new AtomicInteger();

    StoredAnnotation next() throws InterruptedException {
      return Objects.requireNonNull(told.poll(60, TimeUnit.SECONDS), "no change was told");
    }

    WsiSamException end() throws InterruptedException {
      return Objects.requireNonNull(ends.poll(60, TimeUnit.SECONDS), "the watch goes on");
    }

    @Override
    public void onChange(StoredAnnotation annotation) {
      told.add(annotation);
    }

    @Override
    public void onConnection(WsiSamException cause) {
      lost.addAndGet(cause == null ? 0 : 1);
    }

    @Override
    public void onEnd(WsiSamException error) {
      ends.add(error);
    }
  }

  private int count(AnnotationQuery query) {
    return WsiSamClient.await(client.annotations().list(query)).annotations().size();
  }

  @Test
  void badAnnotationsAreErrorsOfTheCatalogue() {
    AnnotationShape bowtie =
        AnnotationShape.areas(List.of(new PolygonPart(new double[] {0, 0, 10, 10, 10, 0, 0, 10}, List.of())));
    assertReason("INVALID_SHAPE", StoredAnnotation.drawn(id(), slide.annotationKey(), bowtie));
    assertReason("INVALID_FIELD", StoredAnnotation.drawn("no uuid", slide.annotationKey(), TRIANGLE));
    assertReason("ANNOTATION_NOT_FOUND", StoredAnnotation.drawn(id(), slide.annotationKey(), TRIANGLE).withRevision(7));
    WsiSamException missing = assertThrows(WsiSamException.class, () -> get(id()));
    assertEquals("ANNOTATION_NOT_FOUND", missing.reason());
  }

  private void assertReason(String reason, StoredAnnotation annotation) {
    assertEquals(reason, assertThrows(WsiSamException.class, () -> save(annotation)).reason());
  }

  @Test
  void aSaveThatMeetsARestartIsDoneOnce(@TempDir Path folder) throws Exception {
    try (RealServer server = RealServer.start(folder);
        WsiSamClient other =
            WsiSamClient.connect(
                ClientOptions.to(server.address())
                    .withCallTimeout(Duration.ofSeconds(200))
                    .withRetry(Duration.ofMillis(100), Duration.ofSeconds(1)))) {
      WsiSamClient.await(other.info());
      server.kill();
      List<StoredAnnotation> one = List.of(StoredAnnotation.drawn(id(), "slide", TRIANGLE));
      var saving = other.annotations().save(one, "tester", List.of());
      server.restart();
      assertFalse(WsiSamClient.await(saving).get(0).unchanged());
      assertEquals(1, WsiSamClient.await(other.annotations().list(AnnotationQuery.all())).annotations().size());
    }
  }
}
