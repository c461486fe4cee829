package io.wsisam.client.annotations;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.client.WsiSamClient;
import io.wsisam.client.segmentation.PolygonPart;
import io.wsisam.client.slides.Slide;
import io.wsisam.support.Discs;
import io.wsisam.support.SharedServer;
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
      state = SyncState.parse(result.state().toText());
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
    SyncState some = new SyncState("store", Map.of("a", 3L, "b", 7L));
    assertEquals(some, SyncState.parse(some.toText()));
  }
}
