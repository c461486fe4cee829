package io.wsisam.script;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.client.WsiSamClient;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.segmentation.BoxPrompt;
import io.wsisam.client.segmentation.Candidate;
import io.wsisam.client.segmentation.Failure;
import io.wsisam.client.segmentation.FieldWindow;
import io.wsisam.client.segmentation.Level;
import io.wsisam.client.segmentation.Outline;
import io.wsisam.client.segmentation.PointPrompt;
import io.wsisam.client.segmentation.PolygonPart;
import io.wsisam.client.segmentation.Prompt;
import io.wsisam.client.segmentation.PromptRequest;
import io.wsisam.client.segmentation.PromptResult;
import io.wsisam.client.segmentation.Refinement;
import io.wsisam.client.segmentation.Timings;
import io.wsisam.client.segmentation.Viewport;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What is asked for an object, in which order, and what is shown of it. */
class DraftTest {
  private static final Viewport SCREEN = new Viewport(0, 0, 1000, 800, 2);
  private static final PolygonPart PART = new PolygonPart(new double[] {0, 0, 9, 0, 9, 9}, List.of());
  private static final BoxPrompt BOX = new BoxPrompt(10, 20, 30, 40);

  private final Draft draft = Draft.start();
  private final FakeSender sender = new FakeSender();

  @Test
  void aStepIsAskedWhenTheOneBeforeIsAnswered() {
    draft.sendTo(sender);
    draft.box(BOX, SCREEN);
    draft.click(15, 25, true, SCREEN);
    draft.click(28, 38, false, SCREEN);
    assertEquals(List.of(new Prompt(List.of(), BOX)), sender.asked());
    assertFalse(draft.isSettled());
    sender.answer(0.5);
    sender.answer(0.6);
    assertEquals(0.6, draft.shown().orElseThrow().outline().score());
    assertFalse(draft.isSettled());
    sender.answer(0.7);
    assertTrue(draft.isSettled());
    assertEquals(sender.requests, draft.requests());
    assertEquals(3, sender.requests.size());
    assertEquals(SCREEN, sender.requests.get(2).viewport());
    assertEquals(1, sender.names().size());
  }

  @Test
  void aLoopIsAskedAndClicksGoOnWithIt() {
    draft.sendTo(sender);
    draft.shape(List.of(PART), SCREEN);
    assertEquals(List.of(Prompt.shape(List.of(PART))), sender.asked());
    assertEquals(SCREEN, sender.requests.get(0).viewport());
    assertNull(sender.requests.get(0).maxCandidates());
    sender.answer(0.5);
    draft.click(15, 25, false, SCREEN);
    assertEquals(Prompt.shape(List.of(PART)).withPoint(15, 25, false), sender.lastPrompt());
    sender.answer(0.6);
    assertTrue(draft.undo());
    assertTrue(draft.undo());
    assertTrue(draft.isEmpty());
  }

  @Test
  void aNegativeClickWaitsForSomethingToTakeAwayFrom() {
    draft.sendTo(sender);
    draft.click(15, 25, false, SCREEN);
    assertTrue(sender.requests.isEmpty());
    assertFalse(draft.isSendable());
    draft.click(20, 30, true, SCREEN);
    assertEquals(List.of(draft.prompt()), sender.asked());
  }

  @Test
  void aSingleClickIsAskedForAllThatItMayMeanAndNothingElseIs() {
    draft.sendTo(sender);
    draft.click(15, 25, true, SCREEN);
    assertEquals(4, sender.requests.get(0).maxCandidates());
    sender.answer(0.5);
    draft.click(16, 25, true, SCREEN);
    assertNull(sender.requests.get(1).maxCandidates());
  }

  @Test
  void candidatesAreSteppedThroughWithoutAskingAndTheNextClickCorrectsTheOneThatIsSeen() {
    draft.sendTo(sender);
    draft.click(15, 25, true, SCREEN);
    assertFalse(draft.showCandidate(true), "nothing is answered yet");
    sender.answerWith(3, 0, 2);
    assertEquals(3, draft.candidateCount());
    assertEquals(0, draft.shown().orElseThrow().outline().candidate());
    assertNull(last(draft.requests()).prompt().candidate());
    assertTrue(draft.showCandidate(true));
    assertFalse(draft.showCandidate(true), "it is the largest");
    assertEquals(2, draft.shown().orElseThrow().outline().candidate());
    assertEquals(0.02, draft.shown().orElseThrow().outline().score());
    assertEquals(2, last(draft.requests()).prompt().candidate(), "what is accepted says which it is");
    assertEquals(1, sender.requests.size());
    draft.click(16, 25, true, SCREEN);
    List<PointPrompt> points = last(sender.requests).prompt().points();
    assertEquals(List.of(new PointPrompt(15, 25, true), new PointPrompt(16, 25, true, 2)), points);
    assertNull(last(sender.requests).prompt().candidate());
    sender.answer(0.7);
    assertFalse(draft.showCandidate(false), "there is one only");
    assertTrue(draft.undo());
    assertEquals(2, draft.shown().orElseThrow().outline().candidate(), "undo shows what was seen");
    assertTrue(draft.showCandidate(false));
    assertTrue(draft.showCandidate(false));
    assertEquals(3, draft.shown().orElseThrow().outline().candidate());
    assertFalse(draft.showCandidate(false));
  }

  @Test
  void theCandidateThatIsSeenIsTheOneWhoseBorderIsRefined() {
    draft.sendTo(sender);
    draft.click(15, 25, true, SCREEN);
    sender.answerWith(0, 3);
    assertTrue(draft.showCandidate(true));
    assertTrue(draft.refine(2));
    assertEquals(3, last(sender.requests).prompt().candidate());
    sender.answer(0.8, 8, 4, 2);
    assertEquals(0.8, draft.shown().orElseThrow().outline().score());
    assertEquals(sender.requests, draft.requests());
    draft.click(16, 25, false, SCREEN);
    sender.answerWith(0, 3); // the first step again: nothing builds on a refined border
    assertEquals(3, last(sender.requests).prompt().points().get(1).candidate());
  }

  @Test
  void anotherSendersAnswerShowsTheSameCandidateIfItHasIt() {
    draft.sendTo(sender);
    draft.click(15, 25, true, SCREEN);
    sender.answerWith(0, 1, 2);
    draft.showCandidate(true);
    draft.sendTo(sender);
    assertEquals(1, draft.shown().orElseThrow().outline().candidate(), "what was shown stays until then");
    sender.answerWith(1, 0);
    assertEquals(1, draft.shown().orElseThrow().outline().candidate());
    draft.sendTo(sender);
    sender.answerWith(0, 2);
    assertEquals(0, draft.shown().orElseThrow().outline().candidate());
  }

  private static <T> T last(List<T> all) {
    return all.get(all.size() - 1);
  }

  @Test
  void undoShowsTheAnswerBeforeWithoutAsking() {
    draft.sendTo(sender);
    draft.box(BOX, SCREEN);
    sender.answer(0.5);
    draft.click(15, 25, true, SCREEN);
    sender.answer(0.6);
    assertTrue(draft.undo());
    assertTrue(draft.isSettled());
    assertEquals(0.5, draft.shown().orElseThrow().outline().score());
    assertTrue(draft.redo());
    assertEquals(0.6, draft.shown().orElseThrow().outline().score());
    assertEquals(2, sender.requests.size());
  }

  @Test
  void aClickAfterUndoIsBuiltOnWhatIsLeft() {
    draft.sendTo(sender);
    draft.box(BOX, SCREEN);
    sender.answer(0.5);
    draft.click(15, 25, true, SCREEN);
    sender.answer(0.6);
    draft.undo();
    draft.click(20, 30, true, SCREEN);
    assertEquals(new Prompt(List.of(), BOX), sender.lastPrompt(), "the server forgets a point only with the object");
    assertNotEquals(sender.names.get(0), sender.names.get(2));
    assertEquals(List.of(sender.names.get(0)), sender.forgotten);
    sender.answer(0.5);
    assertEquals(new Prompt(List.of(), BOX).withPoint(20, 30, true), sender.lastPrompt());
    sender.answer(0.8);
    assertEquals(0.8, draft.shown().orElseThrow().outline().score());
    assertEquals(
        List.of(new Prompt(List.of(), BOX), draft.prompt()), draft.requests().stream().map(PromptRequest::prompt).toList());
  }

  @Test
  void anotherLineIsToldAllStepsAndTheOldOutlineStaysUntilThen() {
    draft.sendTo(sender);
    draft.box(BOX, SCREEN);
    sender.answer(0.5);
    draft.click(15, 25, true, SCREEN);
    sender.answer(0.6);
    FakeSender other = new FakeSender();
    draft.sendTo(other);
    assertEquals(0.6, draft.shown().orElseThrow().outline().score());
    assertFalse(draft.isSettled());
    other.answer(0.3);
    other.answer(0.4);
    assertTrue(draft.isSettled());
    assertEquals(0.4, draft.shown().orElseThrow().outline().score());
    assertFalse(draft.answered(sender.late()), "an answer of the sender before");
  }

  @Test
  void aRefusedStepIsTakenBack() {
    draft.sendTo(sender);
    draft.box(BOX, SCREEN);
    sender.answer(0.5);
    draft.click(-15, 25, true, SCREEN);
    assertTrue(sender.fail(WsiSamException.of(new IllegalStateException("refused"))));
    assertEquals(new Prompt(List.of(), BOX), draft.prompt());
    assertTrue(draft.isSettled());
    assertFalse(sender.fail(WsiSamException.of(new IllegalStateException("again"))), "reported once");
  }

  @Test
  void whileTheServerIsAwayNothingIsTakenBack() {
    WsiSamException away;
    try (WsiSamClient client = WsiSamClient.connect("127.0.0.1:1")) {
      away = assertThrows(WsiSamException.class, () -> WsiSamClient.await(client.info()));
    }
    draft.sendTo(sender);
    draft.box(BOX, SCREEN);
    assertFalse(sender.fail(away));
    assertEquals(1, sender.requests.size());
    draft.resume();
    assertEquals(2, sender.requests.size());
    sender.answer(0.5);
    assertTrue(draft.isSettled());
  }

  @Test
  void aClosedLineIsLeftForTheNext() {
    WsiSamClient client = WsiSamClient.connect("127.0.0.1:1");
    client.close();
    WsiSamException closed = assertThrows(WsiSamException.class, () -> WsiSamClient.await(client.info()));
    draft.sendTo(
        new Draft.PromptSender() {
          @Override
          public int prompt(String objectId, PromptRequest request) {
            throw closed;
          }

          @Override
          public void forget(String objectId) {
            throw closed;
          }
        });
    draft.box(BOX, SCREEN);
    draft.sendTo(sender);
    sender.answer(0.5);
    assertTrue(draft.isSettled());
    draft.end();
    assertEquals(List.of(sender.names.get(0)), sender.forgotten);
  }

  @Test
  void aFinerBorderIsOneMoreStepAndUndoTakesItBack() {
    draft.sendTo(sender);
    draft.box(BOX, SCREEN);
    assertFalse(draft.refine(4), "there is nothing to refine yet");
    sender.answer(0.5, 16);
    assertFalse(draft.refine(16), "it is as fine already");
    assertTrue(draft.refine(4));
    assertTrue(draft.isRefining());
    assertEquals(Refinement.to(4), sender.requests.get(1).refinement());
    assertEquals(SCREEN, sender.requests.get(1).viewport());
    assertEquals(0.5, draft.shown().orElseThrow().outline().score());
    sender.answer(0.6, 16, 4);
    assertTrue(draft.isSettled() && !draft.isRefining());
    assertEquals(0.6, draft.shown().orElseThrow().outline().score());
    assertEquals(sender.requests, draft.requests());
    assertTrue(draft.refine(1), "zoomed in further");
    sender.answer(0.7, 16, 1);
    assertTrue(draft.undo());
    assertEquals(0.6, draft.shown().orElseThrow().outline().score());
    assertTrue(draft.undo());
    assertEquals(0.5, draft.shown().orElseThrow().outline().score());
    assertTrue(draft.isSettled());
    assertTrue(draft.refine(4));
    assertEquals(0.6, draft.shown().orElseThrow().outline().score(), "it was answered before");
    assertEquals(3, sender.requests.size());
  }

  @Test
  void aClickDoesNotWaitForAFinerBorderNorBuildOnIt() {
    draft.sendTo(sender);
    draft.box(BOX, SCREEN);
    sender.answer(0.5, 16);
    draft.refine(4);
    draft.click(15, 25, true, SCREEN);
    assertEquals(List.of(sender.names.get(1)), sender.forgotten);
    assertEquals(PromptRequest.of(new Prompt(List.of(), BOX)).from(SCREEN), sender.requests.get(2));
    assertFalse(draft.isRefining());
    sender.answer(0.5, 16);
    sender.answer(0.7, 16);
    assertEquals(0.7, draft.shown().orElseThrow().outline().score());
    assertEquals(sender.requests.subList(2, 4), draft.requests());
    draft.undo();
    assertTrue(draft.isSettled(), "what was called off is not asked for again");
  }

  @Test
  void aFinerBorderThatIsCalledOffOrFailsLeavesTheOutline() {
    draft.sendTo(sender);
    draft.box(BOX, SCREEN);
    sender.answer(0.5, 16);
    assertFalse(draft.stopRefining());
    draft.refine(4);
    assertTrue(draft.stopRefining());
    assertEquals(List.of(sender.names.get(1)), sender.forgotten);
    assertFalse(
        draft.failed(
            new Failure(sender.names.get(1), 2, sender.requests.get(1), WsiSamException.of(new IllegalStateException()))));
    assertTrue(draft.isSettled());
    draft.refine(4);
    sender.answer(0.5, 16);
    assertTrue(sender.fail(WsiSamException.of(new IllegalStateException("refused"))));
    assertTrue(draft.isSettled());
    assertEquals(0.5, draft.shown().orElseThrow().outline().score());
    assertEquals(new Prompt(List.of(), BOX), draft.prompt());
  }

  /** Answers when it is told to. */
  private final class FakeSender implements Draft.PromptSender {
    final List<PromptRequest> requests = new ArrayList<>();
    final List<String> names = new ArrayList<>();
    final List<String> forgotten = new ArrayList<>();

    @Override
    public int prompt(String objectId, PromptRequest request) {
      names.add(objectId);
      requests.add(request);
      return requests.size();
    }

    @Override
    public void forget(String objectId) {
      forgotten.add(objectId);
    }

    List<Prompt> asked() {
      return requests.stream().map(PromptRequest::prompt).toList();
    }

    Prompt lastPrompt() {
      return asked().get(requests.size() - 1);
    }

    List<String> names() {
      return names.stream().distinct().toList();
    }

    void answer(double score, double... levels) {
      assertTrue(draft.answered(answerOf(requests.size(), score, levels)));
    }

    /** Answers with these candidates, in ascending area; the model's own, 0, is chosen. */
    void answerWith(Integer... numbers) {
      List<Candidate> candidates =
          Arrays.stream(numbers).map(number -> new Candidate(number, List.of(PART), number / 100.0, false, List.of())).toList();
      Outline outline =
          new Outline(
              List.of(PART), 0, new FieldWindow(0, 0, 8, 256), false, 1, true, 0, 0, "m", "h", new Timings(0, 0, 0, 0, 0, 0),
              List.of(new Level(8, 1)), false, List.of(), candidates, Arrays.asList(numbers).indexOf(0));
      int last = requests.size() - 1;
      assertTrue(draft.answered(new PromptResult(names.get(last), last + 1, requests.get(last), outline, Duration.ZERO)));
    }

    PromptResult late() {
      return answerOf(requests.size(), 0);
    }

    boolean fail(WsiSamException error) {
      int last = requests.size() - 1;
      return draft.failed(new Failure(names.get(last), requests.size(), requests.get(last), error));
    }

    private PromptResult answerOf(int revision, double score, double... levels) {
      Outline outline =
          new Outline(
              List.of(PART), score, new FieldWindow(0, 0, 1, 256), false, 1, true, 0, 0, "m", "h", new Timings(0, 0, 0, 0, 0, 0),
              Arrays.stream(levels).mapToObj(downsample -> new Level(downsample, 1)).toList(), false, List.of(), List.of(), 0);
      return new PromptResult(names.get(revision - 1), revision, requests.get(revision - 1), outline, Duration.ZERO);
    }
  }
}
