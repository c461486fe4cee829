package io.wsisam.client.annotations;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.client.WsiSamClient;
import io.wsisam.client.segmentation.PolygonPart;
import io.wsisam.client.slides.Slide;
import io.wsisam.support.Discs;
import io.wsisam.support.SharedServer;
import io.wsisam.v1.AnnotationsSyncRequest;
import io.wsisam.v1.SyncBatch;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Images synced with the store of the real server. The rules are tested where they are, in the server. */
@Timeout(300)
class ImageSyncTest {
  private static final AnnotationShape TRIANGLE =
      AnnotationShape.areas(List.of(new PolygonPart(new double[] {10, 10, 60.1, 10, 10, 60.7}, List.of())));

  private final Map<String, StoredAnnotation> image = new HashMap<>();
  private final String author = "qupath:" + UUID.randomUUID();
  private final Set<String> ours = new HashSet<>();
  private WsiSamClient client;
  private Slide slide;
  private SyncState state = SyncState.none();

  @BeforeEach
  void connect() {
    client = WsiSamClient.connect(SharedServer.get().address());
    slide = WsiSamClient.await(client.openSlide(Discs.reference()));
  }

  @AfterEach
  void close() {
    client.close();
  }

  /** Syncs, and does the image's part. What it does with other tests' annotations on this slide is not told. */
  private Map<String, String> sync(SyncOptions options) {
    SyncResult result =
        WsiSamClient.await(client.imageSync().sync(slide, image.values(), List.of(), state, options));
    result.put().forEach(annotation -> image.put(annotation.id(), annotation));
    result.remove().forEach(image::remove);
    if (!options.dryRun()) {
      Map<String, String> digests = new HashMap<>();
      image.forEach((id, annotation) -> digests.put(id, annotation.digest()));
      state = SyncState.parse(result.record(state, digests).toText());
    }
    return result.actions().stream()
        .filter(action -> ours.contains(action.id()))
        .collect(Collectors.toMap(SyncAction::id, SyncAction::action));
  }

  private String newId() {
    String id = UUID.randomUUID().toString();
    ours.add(id);
    return id;
  }

  private String draw() {
    String id = newId();
    image.put(id, StoredAnnotation.drawn(id, slide.annotationKey(), TRIANGLE).withClass("Tumor", 0xc80000));
    return id;
  }

  private String store(String name) {
    String id = newId();
    StoredAnnotation mine = StoredAnnotation.drawn(id, slide.annotationKey(), TRIANGLE).withName(name);
    WsiSamClient.await(client.annotations().save(List.of(mine), "a colleague", List.of(slide)));
    return id;
  }

  private StoredAnnotation stored(String id) {
    return WsiSamClient.await(client.annotations().get(id));
  }

  @Test
  void whatIsNewGoesBothWaysAndThenNothing() {
    String mine = draw();
    String theirs = store("theirs");
    SyncOptions options = SyncOptions.by(author).ofProject("study");
    assertEquals(Map.of(mine, "add to store", theirs, "add to project"), sync(options.dry()));
    assertEquals(Map.of(mine, "add to store", theirs, "add to project"), sync(options));
    assertEquals("theirs", image.get(theirs).name());
    assertEquals(author, stored(mine).author());
    assertEquals("study", stored(mine).project());
    assertEquals(0xc80000, stored(mine).classRgb());
    assertEquals(Map.of(), sync(options));
  }

  @Test
  void deletionsAndConflictsAreToldAndSettled() {
    String gone = draw();
    String disputed = draw();
    sync(SyncOptions.by(author));
    image.remove(gone);
    image.put(disputed, image.get(disputed).withName("mine"));
    WsiSamClient.await(
        client.annotations().save(List.of(stored(disputed).withName("theirs")), "a colleague", List.of(slide)));
    assertEquals(Map.of(gone, "delete in store", disputed, "conflict"), sync(SyncOptions.by(author)));
    assertTrue(stored(gone).deleted());
    assertEquals(Map.of(disputed, "update in project"), sync(SyncOptions.by(author).settledBy(SyncOptions.Side.STORE)));
    assertEquals("theirs", image.get(disputed).name());
    assertEquals(Map.of(), sync(SyncOptions.by(author)));
  }

  @Test
  void oneDirectionHoldsTheOther() {
    String mine = draw();
    String theirs = store("theirs");
    sync(SyncOptions.by(author).only(SyncOptions.Direction.TO_STORE));
    assertTrue(image.containsKey(mine) && !image.containsKey(theirs));
    sync(SyncOptions.by(author).only(SyncOptions.Direction.TO_IMAGE));
    assertTrue(image.containsKey(theirs));
  }

  @Test
  void aStateThatIsDamagedCountsAsNone() {
    for (String text : new String[] {null, "", "store\nid", "store\nid x"}) {
      assertEquals(SyncState.none(), SyncState.parse(text));
    }
    Map<String, SyncState.Base> bases = Map.of("a", new SyncState.Base(3, "0f"), "b", new SyncState.Base(7, "1e"));
    SyncState some = new SyncState("store", bases);
    assertEquals(some, SyncState.parse(some.toText()));
    // As a version before this one kept it.
    assertEquals(Map.of("a", new SyncState.Base(3, "")), SyncState.parse("store\na 3").bases());
  }

  @Test
  void onlyWhatChangedIsSentInFull() {
    String first = draw();
    String second = draw();
    String gone = draw();
    sync(SyncOptions.by(author));
    image.put(first, image.get(first).withName("changed"));
    image.remove(gone);
    String fresh = draw();
    Map<String, String> digests = new HashMap<>();
    image.forEach((id, annotation) -> digests.put(id, annotation.digest()));
    SyncBatch whole =
        SyncWire.batches(image.values(), digests, List.of("x"), state).stream()
            .map(AnnotationsSyncRequest::getBatch)
            .reduce(SyncBatch.getDefaultInstance(), (one, other) -> one.toBuilder().mergeFrom(other).build());
    assertEquals(
        Map.of(first, state.bases().get(first).revision(), fresh, 0L),
        whole.getChangedList().stream().collect(Collectors.toMap(one -> one.getId(), one -> one.getRevision())));
    assertTrue(whole.getUnchangedList().stream().anyMatch(one -> one.getId().equals(second)));
    assertEquals(List.of(gone), whole.getMissingList().stream().map(one -> one.getId()).toList());
    assertEquals(List.of("x"), whole.getExcludedIdsList());
  }

  @Test
  void aRecordOfAnotherStoreCostsAllInFullAndDeletesNothing() {
    String mine = draw();
    String gone = draw();
    sync(SyncOptions.by(author));
    image.remove(gone);
    state = new SyncState(UUID.randomUUID().toString(), state.bases());
    assertEquals(Map.of(gone, "add to project"), sync(SyncOptions.by(author)));
    assertTrue(image.keySet().containsAll(List.of(mine, gone)));
  }

  /** The same text is in the server's test of digests: both read one record. */
  @Test
  void digestsAreThoseOfTheServer() {
    StoredAnnotation one =
        StoredAnnotation.drawn("id", "slide", TRIANGLE)
            .withClass("Tumor: Positive", 0xc80000)
            .withName("Dr\u00fcse \ud83d\udd2c")
            .withRgb(0xfedcba)
            .withLocked(true)
            .withMeasurements(Map.of("b", -2e9, "a", 1.5, "\u00b5", -0.0))
            .withMetadata(Map.of("k", "v\nw", "empty", ""));
    assertEquals("856417b19620571b9eb5d21517b0f1a1", one.digest());
    AnnotationShape holed =
        AnnotationShape.areas(
            List.of(
                new PolygonPart(
                    new double[] {10, 10, 90, 10, 90, 90},
                    List.of(new double[] {20.5, 20.5, 20.5, 40, 40, 40})),
                new PolygonPart(new double[] {200, 200, 220.25, 200, 220.25, 230}, List.of())));
    assertEquals("bd65bb037d37d33881a333b2e99bf31b", StoredAnnotation.drawn("id", "slide", holed).digest());
    assertEquals(
        "3f4d0aaafa05d3ff9c805cddd8fd26bb", StoredAnnotation.drawn("id", "slide", AnnotationShape.points(1, 2, 3.25, 4)).digest());
    assertEquals(
        "70def5ad8744087a1e419910f596be6f",
        StoredAnnotation.drawn("id", "slide", AnnotationShape.lines(List.of(new double[] {1, 1, 5.5, 6, 9, 2})))
            .digest());
  }
}
