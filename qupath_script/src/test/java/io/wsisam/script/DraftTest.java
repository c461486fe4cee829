package io.wsisam.script;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.client.WsiSamClient;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.segmentation.Answer;
import io.wsisam.client.segmentation.Ask;
import io.wsisam.client.segmentation.BoxPrompt;
import io.wsisam.client.segmentation.Failure;
import io.wsisam.client.segmentation.FieldWindow;
import io.wsisam.client.segmentation.Level;
import io.wsisam.client.segmentation.Outline;
import io.wsisam.client.segmentation.PolygonPart;
import io.wsisam.client.segmentation.Prompt;
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
  private final Line line = new Line();

  @Test
  void aStepIsAskedWhenTheOneBeforeIsAnswered() {
    draft.askOn(line);
    draft.box(BOX, SCREEN);
    draft.click(15, 25, true, SCREEN);
    draft.click(28, 38, false, SCREEN);
    assertEquals(List.of(new Prompt(List.of(), BOX)), line.asked());
    assertFalse(draft.isSettled());
    line.answer(0.5);
    line.answer(0.6);
    assertEquals(0.6, draft.shown().orElseThrow().outline().score());
    assertFalse(draft.isSettled());
    line.answer(0.7);
    assertTrue(draft.isSettled());
    assertEquals(line.asks, draft.asks());
    assertEquals(3, line.asks.size());
    assertEquals(SCREEN, line.asks.get(2).viewport());
    assertEquals(1, line.names().size());
  }

  @Test
  void aNegativeClickWaitsForSomethingToTakeAwayFrom() {
    draft.askOn(line);
    draft.click(15, 25, false, SCREEN);
    assertTrue(line.asks.isEmpty());
    assertFalse(draft.isSendable());
    draft.click(20, 30, true, SCREEN);
    assertEquals(List.of(draft.prompt()), line.asked());
  }

  @Test
  void undoShowsTheAnswerBeforeWithoutAsking() {
    draft.askOn(line);
    draft.box(BOX, SCREEN);
    line.answer(0.5);
    draft.click(15, 25, true, SCREEN);
    line.answer(0.6);
    assertTrue(draft.undo());
    assertTrue(draft.isSettled());
    assertEquals(0.5, draft.shown().orElseThrow().outline().score());
    assertTrue(draft.redo());
    assertEquals(0.6, draft.shown().orElseThrow().outline().score());
    assertEquals(2, line.asks.size());
  }

  @Test
  void aClickAfterUndoIsBuiltOnWhatIsLeft() {
    draft.askOn(line);
    draft.box(BOX, SCREEN);
    line.answer(0.5);
    draft.click(15, 25, true, SCREEN);
    line.answer(0.6);
    draft.undo();
    draft.click(20, 30, true, SCREEN);
    assertEquals(new Prompt(List.of(), BOX), line.lastPrompt(), "the server forgets a point only with the object");
    assertNotEquals(line.names.get(0), line.names.get(2));
    assertEquals(List.of(line.names.get(0)), line.forgotten);
    line.answer(0.5);
    assertEquals(new Prompt(List.of(), BOX).withPoint(20, 30, true), line.lastPrompt());
    line.answer(0.8);
    assertEquals(0.8, draft.shown().orElseThrow().outline().score());
    assertEquals(List.of(new Prompt(List.of(), BOX), draft.prompt()), draft.asks().stream().map(Ask::prompt).toList());
  }

  @Test
  void anotherLineIsToldAllStepsAndTheOldOutlineStaysUntilThen() {
    draft.askOn(line);
    draft.box(BOX, SCREEN);
    line.answer(0.5);
    draft.click(15, 25, true, SCREEN);
    line.answer(0.6);
    Line other = new Line();
    draft.askOn(other);
    assertEquals(0.6, draft.shown().orElseThrow().outline().score());
    assertFalse(draft.isSettled());
    other.answer(0.3);
    other.answer(0.4);
    assertTrue(draft.isSettled());
    assertEquals(0.4, draft.shown().orElseThrow().outline().score());
    assertFalse(draft.answered(line.late()), "an answer of the line before");
  }

  @Test
  void aRefusedStepIsTakenBack() {
    draft.askOn(line);
    draft.box(BOX, SCREEN);
    line.answer(0.5);
    draft.click(-15, 25, true, SCREEN);
    assertTrue(line.fail(WsiSamException.of(new IllegalStateException("refused"))));
    assertEquals(new Prompt(List.of(), BOX), draft.prompt());
    assertTrue(draft.isSettled());
    assertFalse(line.fail(WsiSamException.of(new IllegalStateException("again"))), "reported once");
  }

  @Test
  void whileTheServerIsAwayNothingIsTakenBack() {
    WsiSamException away;
    try (WsiSamClient client = WsiSamClient.connect("127.0.0.1:1")) {
      away = assertThrows(WsiSamException.class, () -> WsiSamClient.await(client.info()));
    }
    draft.askOn(line);
    draft.box(BOX, SCREEN);
    assertFalse(line.fail(away));
    assertEquals(1, line.asks.size());
    draft.resume();
    assertEquals(2, line.asks.size());
    line.answer(0.5);
    assertTrue(draft.isSettled());
  }

  @Test
  void aClosedLineIsLeftForTheNext() {
    WsiSamClient client = WsiSamClient.connect("127.0.0.1:1");
    client.close();
    WsiSamException closed = assertThrows(WsiSamException.class, () -> WsiSamClient.await(client.info()));
    draft.askOn(
        new Draft.Line() {
          @Override
          public int prompt(String objectId, Ask ask) {
            throw closed;
          }

          @Override
          public void forget(String objectId) {
            throw closed;
          }
        });
    draft.box(BOX, SCREEN);
    draft.askOn(line);
    line.answer(0.5);
    assertTrue(draft.isSettled());
    draft.end();
    assertEquals(List.of(line.names.get(0)), line.forgotten);
  }

  @Test
  void aFinerBorderIsOneMoreStepAndUndoTakesItBack() {
    draft.askOn(line);
    draft.box(BOX, SCREEN);
    assertFalse(draft.refine(4), "there is nothing to refine yet");
    line.answer(0.5, 16);
    assertFalse(draft.refine(16), "it is as fine already");
    assertTrue(draft.refine(4));
    assertTrue(draft.isRefining());
    assertEquals(Refinement.to(4), line.asks.get(1).refinement());
    assertEquals(SCREEN, line.asks.get(1).viewport());
    assertEquals(0.5, draft.shown().orElseThrow().outline().score());
    line.answer(0.6, 16, 4);
    assertTrue(draft.isSettled() && !draft.isRefining());
    assertEquals(0.6, draft.shown().orElseThrow().outline().score());
    assertEquals(line.asks, draft.asks());
    assertTrue(draft.refine(1), "zoomed in further");
    line.answer(0.7, 16, 1);
    assertTrue(draft.undo());
    assertEquals(0.6, draft.shown().orElseThrow().outline().score());
    assertTrue(draft.undo());
    assertEquals(0.5, draft.shown().orElseThrow().outline().score());
    assertTrue(draft.isSettled());
    assertTrue(draft.refine(4));
    assertEquals(0.6, draft.shown().orElseThrow().outline().score(), "it was answered before");
    assertEquals(3, line.asks.size());
  }

  @Test
  void aClickDoesNotWaitForAFinerBorderNorBuildOnIt() {
    draft.askOn(line);
    draft.box(BOX, SCREEN);
    line.answer(0.5, 16);
    draft.refine(4);
    draft.click(15, 25, true, SCREEN);
    assertEquals(List.of(line.names.get(1)), line.forgotten);
    assertEquals(Ask.of(new Prompt(List.of(), BOX)).from(SCREEN), line.asks.get(2));
    assertFalse(draft.isRefining());
    line.answer(0.5, 16);
    line.answer(0.7, 16);
    assertEquals(0.7, draft.shown().orElseThrow().outline().score());
    assertEquals(line.asks.subList(2, 4), draft.asks());
    draft.undo();
    assertTrue(draft.isSettled(), "what was called off is not asked for again");
  }

  @Test
  void aFinerBorderThatIsCalledOffOrFailsLeavesTheOutline() {
    draft.askOn(line);
    draft.box(BOX, SCREEN);
    line.answer(0.5, 16);
    assertFalse(draft.stopRefining());
    draft.refine(4);
    assertTrue(draft.stopRefining());
    assertEquals(List.of(line.names.get(1)), line.forgotten);
    assertFalse(draft.failed(new Failure(line.names.get(1), 2, line.asks.get(1), WsiSamException.of(new IllegalStateException()))));
    assertTrue(draft.isSettled());
    draft.refine(4);
    line.answer(0.5, 16);
    assertTrue(line.fail(WsiSamException.of(new IllegalStateException("refused"))));
    assertTrue(draft.isSettled());
    assertEquals(0.5, draft.shown().orElseThrow().outline().score());
    assertEquals(new Prompt(List.of(), BOX), draft.prompt());
  }

  /** Answers when it is told to. */
  private final class Line implements Draft.Line {
    final List<Ask> asks = new ArrayList<>();
    final List<String> names = new ArrayList<>();
    final List<String> forgotten = new ArrayList<>();

    @Override
    public int prompt(String objectId, Ask ask) {
      names.add(objectId);
      asks.add(ask);
      return asks.size();
    }

    @Override
    public void forget(String objectId) {
      forgotten.add(objectId);
    }

    List<Prompt> asked() {
      return asks.stream().map(Ask::prompt).toList();
    }

    Prompt lastPrompt() {
      return asked().get(asks.size() - 1);
    }

    List<String> names() {
      return names.stream().distinct().toList();
    }

    void answer(double score, double... levels) {
      assertTrue(draft.answered(answerOf(asks.size(), score, levels)));
    }

    Answer late() {
      return answerOf(asks.size(), 0);
    }

    boolean fail(WsiSamException error) {
      int last = asks.size() - 1;
      return draft.failed(new Failure(names.get(last), asks.size(), asks.get(last), error));
    }

    private Answer answerOf(int revision, double score, double... levels) {
      Outline outline =
          new Outline(
              List.of(PART), score, new FieldWindow(0, 0, 1, 256), false, 1, true, 0, 0, "m", "h", new Timings(0, 0, 0, 0, 0, 0),
              Arrays.stream(levels).mapToObj(downsample -> new Level(downsample, 1)).toList(), false,
              List.of());
      return new Answer(names.get(revision - 1), revision, asks.get(revision - 1), outline, Duration.ZERO);
    }
  }
}
