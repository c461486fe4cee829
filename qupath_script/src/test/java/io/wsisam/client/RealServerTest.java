package io.wsisam.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.client.connection.ClientReason;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.segmentation.Batch;
import io.wsisam.client.segmentation.BatchItem;
import io.wsisam.client.segmentation.BatchResult;
import io.wsisam.client.segmentation.Candidate;
import io.wsisam.client.segmentation.FieldChoice;
import io.wsisam.client.segmentation.Outline;
import io.wsisam.client.segmentation.PointPrompt;
import io.wsisam.client.segmentation.PolygonPart;
import io.wsisam.client.segmentation.Prompt;
import io.wsisam.client.segmentation.PromptRequest;
import io.wsisam.client.segmentation.PromptResult;
import io.wsisam.client.segmentation.SegmentOptions;
import io.wsisam.client.slides.PixelProvider;
import io.wsisam.client.slides.Slide;
import io.wsisam.client.slides.SlideReference;
import io.wsisam.support.Collected;
import io.wsisam.support.Discs;
import io.wsisam.support.RealServer;
import io.wsisam.support.SharedServer;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Calls with one answer, and batches, against the real server. */
@Timeout(300)
class RealServerTest {
  private WsiSamClient client;

  @BeforeEach
  void connect() {
    client = WsiSamClient.connect(SharedServer.get().address());
  }

  @AfterEach
  void close() throws InterruptedException {
    client.close();
    assertTrue(client.awaitClosed(Duration.ofSeconds(10)));
  }

  private Slide open() {
    return WsiSamClient.await(client.openSlide(Discs.reference()));
  }

  @Test
  void theServerTellsWhatItsModelsAreGoodFor() {
    ServerInfo info = WsiSamClient.await(client.info());
    assertEquals("dark-parts", info.defaultModel().orElseThrow().name());
    ModelInfo real = info.models().stream().filter(model -> model.name().equals(RealServer.MODEL)).findAny().orElseThrow();
    assertTrue(real.supportsBoxes());
    assertFalse(info.version().isEmpty());
    assertFalse(info.isTooOld());
  }

  @Test
  void aSlideIsOpenedByItsUri() {
    Slide slide = open();
    assertEquals(Discs.WIDTH, slide.width());
    assertEquals(Discs.HEIGHT, slide.height());
    assertTrue(slide.mpp().isEmpty());
    assertFalse(slide.byPixels());
  }

  @Test
  void aBoxIsAnsweredByTheObjectInIt() {
    PromptResult answer =
        WsiSamClient.await(client.segment(open(), PromptRequest.of(Discs.around(0)), SegmentOptions.defaults()));
    assertTrue(Discs.agreement(answer.outline(), 0) > 0.9, () -> "area " + Discs.area(answer.outline()));
    assertFalse(answer.outline().cutByField());
    assertFalse(answer.outline().inMicrons());
    assertTrue(answer.outline().timings().totalMs() > 0);
    assertTrue(answer.roundTrip().toMillis() > 0);
  }

  @Test
  void anExactWindowIsUsedAgain() {
    Slide slide = open();
    Outline first =
        WsiSamClient.await(client.segment(slide, PromptRequest.of(Discs.around(1)), SegmentOptions.defaults())).outline();
    PromptRequest again = PromptRequest.of(Discs.around(1, 12)).in(FieldChoice.window(first.window()));
    Outline second = WsiSamClient.await(client.segment(slide, again, SegmentOptions.defaults())).outline();
    assertEquals(first.window(), second.window());
    assertEquals(0, second.timings().encoderRuns());
  }

  @Test
  void aLargeToleranceGivesFewVertices() {
    Slide slide = open();
    PromptRequest request = PromptRequest.of(Discs.around(1));
    Outline fine = WsiSamClient.await(client.segment(slide, request, SegmentOptions.defaults().withTolerance(0.1))).outline();
    Outline coarse = WsiSamClient.await(client.segment(slide, request, SegmentOptions.defaults().withTolerance(8.0))).outline();
    assertTrue(coarse.vertexCount() < fine.vertexCount() / 2);
    assertEquals(8.0, coarse.tolerance());
  }

  @Test
  void aClickMayMeanSeveralObjects() {
    Slide slide = open();
    Outline several =
        WsiSamClient.await(
                client.segment(slide, PromptRequest.of(Prompt.click(200, 200)), SegmentOptions.defaults().withCandidates(4)))
            .outline();
    assertTrue(several.candidates().size() > 1);
    assertEquals(several.score(), several.candidates().get(several.chosen()).score());
    Candidate largest = several.candidates().get(several.candidates().size() - 1);
    Outline meant =
        WsiSamClient.await(
                client.segment(
                    slide, PromptRequest.of(Prompt.click(200, 200)).meaning(largest.number()), SegmentOptions.defaults()))
            .outline();
    Outline shown = several.showing(several.candidates().size() - 1);
    assertEquals(Discs.area(shown), Discs.area(meant));
    assertTrue(meant.candidates().isEmpty());
  }

  @Test
  void aRoughOutlineIsAPrompt() {
    PolygonPart square = new PolygonPart(new double[] {145, 145, 145, 255, 255, 255, 255, 145}, List.of());
    Outline found =
        WsiSamClient.await(
                client.segment(open(), PromptRequest.of(Prompt.shape(List.of(square))), SegmentOptions.defaults()))
            .outline();
    assertTrue(Discs.agreement(found, 0) > 0.8, () -> "area " + Discs.area(found));
  }

  @Test
  void errorsCarryStatusReasonTextAndRequestId() {
    Slide slide = open();
    PromptRequest outside = PromptRequest.of(Prompt.box(5000, 5000, 5100, 5100));
    WsiSamException error =
        assertThrows(
            WsiSamException.class,
            () -> WsiSamClient.await(client.segment(slide, outside, SegmentOptions.defaults())));
    assertEquals("OUT_OF_RANGE", error.status());
    assertEquals("PROMPT_OUTSIDE_SLIDE", error.reason());
    assertTrue(error.text().contains("900 x 700"), error.text());
    assertEquals("900", error.details().get("width"));
    assertEquals(36, error.requestId().length());
    assertFalse(error.isConnection());
  }

  @Test
  void badInputIsAnErrorOfTheCatalogue() {
    Slide slide = open();
    assertReason("EMPTY_PROMPT", slide, new Prompt(List.of(), null), "");
    assertReason("ONLY_NEGATIVE_POINTS", slide, new Prompt(List.of(new PointPrompt(5, 5, false)), null), "");
    assertReason("INVALID_FIELD", slide, Prompt.box(10, 10, 10, 20), "");
    assertReason("INVALID_FIELD", slide, Prompt.click(Double.NaN, 1), "");
    assertReason("UNKNOWN_MODEL", slide, Discs.around(0), "no-such-model");
    Prompt many = new Prompt(IntStream.range(0, 65).mapToObj(i -> new PointPrompt(i, i, true)).toList(), null);
    assertReason("TOO_MANY_POINTS", slide, many, "");
  }

  private void assertReason(String reason, Slide slide, Prompt prompt, String model) {
    WsiSamException error =
        assertThrows(
            WsiSamException.class,
            () ->
                WsiSamClient.await(
                    client.segment(slide, PromptRequest.of(prompt), SegmentOptions.defaults().withModel(model))));
    assertEquals(reason, error.reason());
    assertFalse(error.text().isBlank());
  }

  @Test
  void aSlideThatTheServerDoesNotFindIsAnErrorWithoutPixels() {
    WsiSamException error =
        assertThrows(
            WsiSamException.class,
            () -> WsiSamClient.await(client.openSlide(Discs.reference(Path.of("/no/such/slide.svs").toUri(), null))));
    assertEquals("SLIDE_NOT_FOUND", error.reason());
  }

  @Test
  void aFileOfAnotherSizeIsNotTheImage() {
    SlideReference other =
        SlideReference.of(List.of(SharedServer.discs().toUri()), 901, 700, 0.5, null);
    WsiSamException error =
        assertThrows(WsiSamException.class, () -> WsiSamClient.await(client.openSlide(other)));
    assertEquals(ClientReason.SLIDE_DIFFERS, error.reason());
  }

  @Test
  void theNamesOfAnImageAreTriedOneAfterAnother() {
    SlideReference several =
        SlideReference.of(
            List.of(Path.of("/no/such/slide.svs").toUri(), SharedServer.discs().toUri()),
            Discs.WIDTH,
            Discs.HEIGHT,
            0.5,
            Discs.provider());
    assertFalse(WsiSamClient.await(client.openSlide(several)).byPixels());
  }

  @Test
  void aBatchAnswersEachItemOnceAndReportsItsProgress() {
    List<BatchItem> items = new ArrayList<>();
    for (int i = 0; i < 12; i++) {
      items.add(new BatchItem("disc " + i, PromptRequest.of(Discs.around(i % 3, 4 + i))));
    }
    items.add(new BatchItem("outside", PromptRequest.of(Prompt.box(5000, 5000, 5100, 5100))));
    Collected collected = new Collected();
    Batch batch = client.segmentBatch(open(), items, SegmentOptions.defaults(), collected);
    BatchResult result = WsiSamClient.await(batch.result());
    assertEquals(new BatchResult(12, 1, false), result);
    assertEquals(13, collected.answers.size() + collected.failures.size());
    assertEquals(IntStream.rangeClosed(1, 13).boxed().toList(), collected.progress);
    assertEquals("PROMPT_OUTSIDE_SLIDE", collected.failures.get("outside").error().reason());
    assertTrue(Discs.agreement(collected.answers.get("disc 0").outline(), 0) > 0.85);
    assertEquals(13, batch.done());
    assertEquals(1, collected.ends);
  }

  @Test
  void aBatchCanBeCancelled() {
    List<BatchItem> items =
        IntStream.range(0, 400)
            .mapToObj(
                i -> new BatchItem("item " + i, PromptRequest.of(Discs.around(i % 3)).in(FieldChoice.downsample(1 + i / 400.0))))
            .toList();
    Collected collected = new Collected();
    Batch batch = client.segmentBatch(open(), items, SegmentOptions.defaults(), collected);
    batch.cancel();
    BatchResult result = WsiSamClient.await(batch.result());
    assertTrue(result.cancelled());
    assertEquals(400, result.outlined() + result.failed());
    assertTrue(collected.failures.values().stream().allMatch(f -> f.error().isSuperseded()));
    assertEquals(400, collected.answers.size() + collected.failures.size());
  }

  @Test
  void anEmptyBatchEndsAtOnce() {
    Batch batch = client.segmentBatch(open(), List.of(), SegmentOptions.defaults(), new Collected());
    assertEquals(new BatchResult(0, 0, false), WsiSamClient.await(batch.result()));
  }

  @Test
  void aDoubledIdIsRefused() {
    Slide slide = open();
    BatchItem item = new BatchItem("same", PromptRequest.of(Discs.around(0)));
    assertThrows(
        IllegalArgumentException.class,
        () -> client.segmentBatch(slide, List.of(item, item), SegmentOptions.defaults(), new Collected()));
  }

  @Test
  void waitingInsideACallbackIsRefusedInsteadOfHanging() {
    CompletableFuture<Throwable> caught =
        client
            .models()
            .thenApply(
                models ->
                    assertThrows(IllegalStateException.class, () -> WsiSamClient.await(client.models())));
    assertTrue(WsiSamClient.await(caught).getMessage().contains("wait for itself"));
  }

  @Test
  void manyCallsAtOnceAreAllAnswered() {
    Slide slide = open();
    List<CompletableFuture<PromptResult>> calls =
        IntStream.range(0, 30)
            .mapToObj(i -> client.segment(slide, PromptRequest.of(Discs.around(i % 3)), SegmentOptions.defaults()))
            .toList();
    Set<String> threads = ConcurrentHashMap.newKeySet();
    calls.forEach(call -> call.thenRun(() -> threads.add(Thread.currentThread().getName())));
    for (int i = 0; i < calls.size(); i++) {
      assertTrue(Discs.agreement(WsiSamClient.await(calls.get(i)).outline(), i % 3) > 0.9);
    }
    assertFalse(threads.contains("wsisam-work"), threads::toString);
  }
}
