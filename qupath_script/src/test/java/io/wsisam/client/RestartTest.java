package io.wsisam.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.client.annotations.AnnotationShape;
import io.wsisam.client.connection.ClientOptions;
import io.wsisam.client.connection.ClientReason;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.segmentation.Batch;
import io.wsisam.client.segmentation.BatchItem;
import io.wsisam.client.segmentation.BatchResult;
import io.wsisam.client.segmentation.Failure;
import io.wsisam.client.segmentation.Outline;
import io.wsisam.client.segmentation.PolygonPart;
import io.wsisam.client.segmentation.PromptRequest;
import io.wsisam.client.segmentation.PromptResult;
import io.wsisam.client.segmentation.ProposalFilter;
import io.wsisam.client.segmentation.SegmentOptions;
import io.wsisam.client.segmentation.Session;
import io.wsisam.client.segmentation.SessionState;
import io.wsisam.client.segmentation.Survey;
import io.wsisam.client.segmentation.SurveyListener;
import io.wsisam.client.segmentation.SurveyResult;
import io.wsisam.client.slides.Slide;
import io.wsisam.support.Collected;
import io.wsisam.support.Discs;
import io.wsisam.support.Eventually;
import io.wsisam.support.RealServer;
import io.wsisam.support.Recorder;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A real server that is killed, or told to stop, and started again while prompts are under way. */
@Timeout(600)
class RestartTest {
  private static final int PROMPTS = 500;

  @TempDir Path folder;

  @Test
  void fiveHundredPromptsOverAKillAndAStopAreEachReportedOnce() throws Exception {
    Discs.write(folder);
    try (RealServer server = RealServer.start(folder);
        WsiSamClient client =
            WsiSamClient.connect(
                ClientOptions.to(server.address())
                    .withRetry(Duration.ofMillis(100), Duration.ofSeconds(1))
                    .withAnswerTimeout(Duration.ofSeconds(300)))) {
      Slide slide =
          WsiSamClient.await(client.openSlide(Discs.reference(folder.resolve("discs.png").toUri(), null)));
      Recorder recorder = new Recorder();
      Session session = client.interact(slide, SegmentOptions.defaults(), recorder);
      Map<Integer, String> asked = new HashMap<>();
      for (int i = 0; i < PROMPTS; i++) {
        // Every tenth object gets a second revision at once, which replaces the first.
        String objectId = "object " + (i % 10 == 9 ? i - 1 : i);
        asked.put(session.prompt(objectId, PromptRequest.of(Discs.around(0, 4 + i % 5))), objectId);
        if (i == 150 || i == 350) {
          int answered = i == 150 ? 20 : 60;
          assertTrue(Eventually.holds(Duration.ofSeconds(120), () -> recorder.reports.size() >= answered));
          if (i == 150) {
            server.kill();
          } else {
            server.stop();
          }
          assertTrue(Eventually.holds(Duration.ofSeconds(30), () -> session.state() != SessionState.READY));
          server.restart();
        }
      }
      assertTrue(Eventually.holds(Duration.ofSeconds(300), () -> session.unanswered() == 0));
      assertTrue(Eventually.holds(Duration.ofSeconds(10), () -> recorder.reports.size() >= PROMPTS));
      assertEquals(asked.keySet(), recorder.counts.keySet());
      assertTrue(recorder.counts.values().stream().allMatch(count -> count.get() == 1));
      int outlines = 0;
      for (Object report : recorder.reports) {
        if (report instanceof PromptResult answer) {
          outlines++;
          assertEquals(asked.get(answer.revision()), answer.objectId());
        } else {
          Failure failure = (Failure) report;
          assertEquals(asked.get(failure.revision()), failure.objectId());
          assertTrue(failure.error().isSuperseded(), failure.error()::toString);
        }
      }
      assertTrue(outlines >= PROMPTS - PROMPTS / 10, "outlines: " + outlines);
      assertEquals(3, recorder.starts.size());
      assertTrue(recorder.causes.stream().allMatch(WsiSamException::isConnection));
    }
  }

  /** What a survey reports, and the server's end in the middle of it: killed, so that the line breaks, or stopped. */
  private static List<String> surveyed(WsiSamClient client, Slide slide, Runnable inTheMiddle) {
    List<String> found = new ArrayList<>();
    AtomicBoolean once = new AtomicBoolean();
    Survey survey =
        client.survey(
            slide,
            AnnotationShape.areas(
                List.of(new PolygonPart(new double[] {60, 60, 760, 60, 760, 620, 60, 620}, List.of()))),
            List.of(),
            ProposalFilter.ofSize(40, 190),
            SegmentOptions.defaults(),
            new SurveyListener() {
              @Override
              public void onProposal(PromptResult answer) {
                found.add(Arrays.toString(answer.outline().bounds()));
              }

              @Override
              public void onProgress(int done, int total) {
                if (done >= total / 2 && once.compareAndSet(false, true)) {
                  inTheMiddle.run();
                }
              }
            });
    SurveyResult result = WsiSamClient.await(survey.result());
    assertEquals(result.total(), result.done());
    assertEquals(found.size(), result.proposed());
    return found;
  }

  @Test
  void aSurveyOverAKillReportsWhatAnUndisturbedOneDoes() throws Exception {
    Discs.write(folder);
    try (RealServer server = RealServer.start(folder);
        WsiSamClient client =
            WsiSamClient.connect(
                ClientOptions.to(server.address()).withRetry(Duration.ofMillis(100), Duration.ofSeconds(1)))) {
      Slide file =
          WsiSamClient.await(client.openSlide(Discs.reference(folder.resolve("discs.png").toUri(), null)));
      Slide pixels =
          WsiSamClient.await(
              client.openSlide(Discs.reference(Path.of("/only/here.svs").toUri(), Discs.provider())));
      for (Slide slide : List.of(file, pixels)) {
        List<String> whole = surveyed(client, slide, () -> {});
        assertTrue(whole.size() >= 2, whole::toString);
        List<String> cut =
            surveyed(
                client,
                slide,
                () -> {
                  server.kill();
                  server.restart();
                });
        assertEquals(whole, cut);
      }
    }
  }

  @Test
  @SuppressWarnings("try") // the client is closed early, to see what that does to a waiting prompt
  void aBatchAndSinglePromptsAndPixelSlidesGoOnAfterARestart() throws Exception {
    Discs.write(folder);
    try (RealServer server = RealServer.start(folder);
        WsiSamClient client =
            WsiSamClient.connect(
                ClientOptions.to(server.address())
                    .withRetry(Duration.ofMillis(100), Duration.ofSeconds(1))
                    .withCallTimeout(Duration.ofSeconds(180)))) {
      Slide file =
          WsiSamClient.await(client.openSlide(Discs.reference(folder.resolve("discs.png").toUri(), null)));
      Slide pixels =
          WsiSamClient.await(
              client.openSlide(Discs.reference(Path.of("/only/here.svs").toUri(), Discs.provider())));
      Recorder recorder = new Recorder();
      Session session = client.interact(pixels, SegmentOptions.defaults(), recorder);
      session.prompt("disc", PromptRequest.of(Discs.around(1)));
      Outline before = recorder.answer().outline();
      Collected collected = new Collected();
      List<BatchItem> items =
          IntStream.range(0, 200)
              .mapToObj(i -> new BatchItem("item " + i, PromptRequest.of(Discs.around(0, 4 + i % 5))))
              .toList();
      Batch batch = client.segmentBatch(file, items, SegmentOptions.defaults(), collected);
      assertTrue(Eventually.holds(Duration.ofSeconds(120), () -> batch.done() > 5));
      server.kill();
      var single = client.segment(file, PromptRequest.of(Discs.around(2)), SegmentOptions.defaults());
      session.prompt("disc", PromptRequest.of(Discs.around(1).withPoint(600, 250, true)));
      server.restart();
      assertTrue(Discs.agreement(WsiSamClient.await(single).outline(), 2) > 0.85);
      assertEquals(new BatchResult(200, 0, false), WsiSamClient.await(batch.result()));
      assertEquals(200, collected.answers.size());
      // The new server was reminded of the first answer, so that the second is refined in the same field.
      Outline after = recorder.answer().outline();
      assertEquals(before.window(), after.window());
      assertTrue(Discs.agreement(after, 1) > 0.85);
      server.stop();
      assertTrue(Eventually.holds(Duration.ofSeconds(30), () -> session.state() != SessionState.READY));
      session.prompt("late", PromptRequest.of(Discs.around(0)));
      client.close();
      assertEquals(ClientReason.CLIENT_CLOSED, recorder.failure().error().reason());
      assertTrue(client.awaitClosed(Duration.ofSeconds(10)));
    }
  }
}
