package io.wsisam.client.segmentation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.client.WsiSamClient;
import io.wsisam.client.connection.ClientReason;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.slides.Slide;
import io.wsisam.support.Discs;
import io.wsisam.support.Eventually;
import io.wsisam.support.Recorder;
import io.wsisam.support.SharedServer;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A session against the real server. */
@Timeout(300)
class SessionTest {
  private final Recorder recorder = new Recorder();
  private WsiSamClient client;
  private Slide slide;
  private Session session;

  @BeforeEach
  void open() {
    client = WsiSamClient.connect(SharedServer.get().address());
    slide = WsiSamClient.await(client.openSlide(Discs.reference()));
    session = client.interact(slide, SegmentOptions.defaults(), recorder);
  }

  @AfterEach
  void close() throws InterruptedException {
    client.close();
    assertTrue(client.awaitClosed(Duration.ofSeconds(10)));
    assertTrue(recorder.counts.values().stream().allMatch(count -> count.get() == 1));
    assertTrue(recorder.threads.keySet().stream().allMatch("wsisam-callback"::equals), recorder.threads::toString);
  }

  @Test
  void anObjectIsRefinedRevisionByRevision() throws InterruptedException {
    assertEquals(slide, session.slide());
    SessionInfo info = recorder.starts.poll(60, TimeUnit.SECONDS);
    assertNotNull(info);
    assertFalse(info.inMicrons());
    int first = session.prompt("disc", PromptRequest.of(Discs.around(0)));
    PromptResult one = recorder.answer();
    assertEquals(first, one.revision());
    assertTrue(Discs.agreement(one.outline(), 0) > 0.9);
    int second = session.prompt("disc", PromptRequest.of(Discs.around(0).withPoint(200, 200, true)));
    assertTrue(second > first);
    PromptResult two = recorder.answer();
    assertEquals(second, two.revision());
    assertEquals(one.outline().window(), two.outline().window());
    assertEquals(0, two.outline().timings().encoderRuns());
    assertEquals(List.of(SessionState.CONNECTING, SessionState.READY), recorder.states);
    assertEquals(0, session.unanswered());
  }

  @Test
  void theLatestRevisionWinsAndEachIsReportedOnce() throws InterruptedException {
    int last = 0;
    for (int i = 0; i < 40; i++) {
      last = session.prompt("disc", PromptRequest.of(Discs.around(1)).in(FieldChoice.downsample(1.1 + i / 1000.0)));
    }
    int outlines = 0;
    for (int i = 0; i < 40; i++) {
      if (recorder.next() instanceof PromptResult result) {
        outlines++;
        assertTrue(result.revision() == last || outlines < 3, "an old revision was computed");
      }
    }
    assertTrue(outlines >= 1 && outlines <= 3, "outlines: " + outlines);
    assertEquals(1, recorder.counts.get(last).get());
  }

  @Test
  void manyObjectsAreAllAnsweredAlthoughAServerQueuesOnlySome() throws InterruptedException {
    for (int i = 0; i < 300; i++) {
      session.prompt("object " + i, PromptRequest.of(Discs.around(0, 4 + i % 5)));
    }
    for (int i = 0; i < 300; i++) {
      assertTrue(Discs.agreement(recorder.answer().outline(), 0) > 0.85);
    }
    assertEquals(0, session.unanswered());
  }

  @Test
  void aPromptThatIsCalledOffIsReportedAsSuch() throws InterruptedException {
    session.prompt("disc", PromptRequest.of(Discs.around(0)).in(FieldChoice.downsample(1.77)));
    session.forget("disc");
    Object report = recorder.next();
    if (report instanceof Failure failure) {
      assertEquals("PROMPT_CANCELLED", failure.error().reason());
      assertTrue(failure.error().isSuperseded());
    }
    session.prompt("disc", PromptRequest.of(Discs.around(1)));
    assertTrue(Discs.agreement(recorder.answer().outline(), 1) > 0.9);
  }

  @Test
  void badPromptsFailAndTheSessionGoesOn() throws InterruptedException {
    session.prompt("nothing", PromptRequest.of(new Prompt(List.of(), null)));
    assertEquals("EMPTY_PROMPT", recorder.failure().error().reason());
    session.prompt("", PromptRequest.of(Discs.around(0)));
    assertEquals("INVALID_FIELD", recorder.failure().error().reason());
    session.prompt("outside", PromptRequest.of(Prompt.click(-5, 3)));
    Failure outside = recorder.failure();
    assertEquals("PROMPT_OUTSIDE_SLIDE", outside.error().reason());
    assertEquals("outside", outside.objectId());
    session.viewport(new Viewport(10, 10, 5, 5, 1));
    assertTrue(Eventually.holds(Duration.ofSeconds(10), () -> !recorder.warnings.isEmpty()));
    assertEquals("INVALID_FIELD", recorder.warnings.get(0).reason());
    session.prompt("disc", PromptRequest.of(Discs.around(0)));
    recorder.answer();
    assertEquals(SessionState.READY, session.state());
  }

  @Test
  void viewportsMayComeAtEachMouseMove() throws InterruptedException {
    for (int i = 0; i < 500; i++) {
      session.viewport(new Viewport(i, 0, i + 400, 300, 1));
    }
    session.prompt("disc", PromptRequest.of(Discs.around(2)));
    assertTrue(Discs.agreement(recorder.answer().outline(), 2) > 0.85);
    assertEquals(List.of(), recorder.warnings);
  }

  @Test
  void aModelThatIsNotThereFailsTheSessionForGood() throws InterruptedException {
    Recorder other = new Recorder();
    Session failing = client.interact(slide, SegmentOptions.defaults().withModel("no-such-model"), other);
    failing.prompt("disc", PromptRequest.of(Discs.around(0)));
    assertEquals("UNKNOWN_MODEL", other.failure().error().reason());
    assertEquals(SessionState.FAILED, failing.state());
    failing.prompt("disc", PromptRequest.of(Discs.around(0)));
    assertEquals("UNKNOWN_MODEL", other.failure().error().reason());
    assertEquals(List.of(SessionState.CONNECTING, SessionState.FAILED), other.states);
  }

  @Test
  void closingFailsWhatIsUnansweredOnce() throws InterruptedException {
    for (int i = 0; i < 20; i++) {
      session.prompt("object " + i, PromptRequest.of(Discs.around(0)).in(FieldChoice.downsample(2 + i / 100.0)));
    }
    session.close();
    session.close();
    for (int i = 0; i < 20; i++) {
      if (recorder.next() instanceof Failure failure) {
        assertTrue(Set.of(ClientReason.SESSION_CLOSED).contains(failure.error().reason()));
      }
    }
    assertEquals(SessionState.CLOSED, session.state());
    session.prompt("late", PromptRequest.of(Discs.around(0)));
    assertEquals(ClientReason.SESSION_CLOSED, recorder.failure().error().reason());
    client.close();
    assertTrue(client.awaitClosed(Duration.ofSeconds(10)));
    WsiSamException refused =
        assertThrows(WsiSamException.class, () -> session.prompt("later", PromptRequest.of(Discs.around(0))));
    assertEquals(ClientReason.CLIENT_CLOSED, refused.reason());
  }

  @Test
  void replayGivesWhatTheSessionGave() throws InterruptedException {
    List<PromptRequest> revisions =
        List.of(PromptRequest.of(Discs.around(1)), PromptRequest.of(Discs.around(1).withPoint(600, 250, true)));
    session.prompt("disc", revisions.get(0));
    recorder.answer();
    session.prompt("disc", revisions.get(1));
    PromptResult drawn = recorder.answer();
    PromptResult repeated = WsiSamClient.await(client.replay(slide, revisions, SegmentOptions.defaults()));
    assertEquals(drawn.outline().window(), repeated.outline().window());
    assertEquals(drawn.outline().vertexCount(), repeated.outline().vertexCount());
    assertEquals(Discs.area(drawn.outline()), Discs.area(repeated.outline()), 1e-6);
    List<PromptRequest> wrong = List.of(revisions.get(0), PromptRequest.of(Prompt.click(-1, -1)));
    WsiSamException error =
        assertThrows(
            WsiSamException.class,
            () -> WsiSamClient.await(client.replay(slide, wrong, SegmentOptions.defaults())));
    assertEquals("PROMPT_OUTSIDE_SLIDE", error.reason());
  }

  @Test
  void aBorderIsRefinedInFinerWindowsAndEachIsToldOf() throws InterruptedException {
    PromptRequest coarse = PromptRequest.of(Discs.around(1)).in(FieldChoice.downsample(16));
    session.prompt("disc", coarse);
    Outline one = recorder.answer().outline();
    assertTrue(one.isRefinable(1) && !one.isRefined());
    session.prompt("disc", coarse.refined(Refinement.to(1)));
    Outline two = recorder.answer().outline();
    assertEquals(List.of(16.0, 8.0, 4.0, 2.0, 1.0), two.levels().stream().map(Level::downsample).toList());
    assertTrue(two.isRefined() && !two.truncated() && !two.isRefinable(1));
    int windows = two.borderWindows();
    assertEquals(IntStream.rangeClosed(0, windows).mapToObj(done -> done + " of " + windows).toList(), recorder.refinings);
    assertTrue(Math.abs(Discs.agreement(two, 1) - 1) < Math.abs(Discs.agreement(one, 1) - 1));
    session.prompt("disc", coarse.refined(new Refinement(1.0, 1)));
    assertTrue(recorder.answer().outline().truncated());
  }

  @Test
  void aListenerThatThrowsDoesNoHarm() throws InterruptedException {
    Session clumsy =
        client.interact(
            slide,
            SegmentOptions.defaults(),
            new SessionListener() {
              @Override
              public void onOutline(PromptResult result) {
                recorder.onOutline(result);
                throw new IllegalStateException("thrown by a listener, on purpose");
              }

              @Override
              public void onFailed(Failure failure) {
                recorder.onFailed(failure);
              }
            });
    clumsy.prompt("one", PromptRequest.of(Discs.around(0)));
    recorder.answer();
    recorder.counts.clear(); // another session numbers its own revisions
    clumsy.prompt("two", PromptRequest.of(Discs.around(0)));
    recorder.answer();
  }
}
