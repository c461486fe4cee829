package io.wsisam.script;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.segmentation.BoxPrompt;
import io.wsisam.client.segmentation.Failure;
import io.wsisam.client.segmentation.FieldChoice;
import io.wsisam.client.segmentation.FieldWindow;
import io.wsisam.client.segmentation.Outline;
import io.wsisam.client.segmentation.PolygonPart;
import io.wsisam.client.segmentation.Prompt;
import io.wsisam.client.segmentation.PromptRequest;
import io.wsisam.client.segmentation.PromptResult;
import io.wsisam.client.segmentation.Timings;
import io.wsisam.client.segmentation.Viewport;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** An object is gone on with: from the prompts it comes from, from its shape, and in half or double the field. */
class GoingOnTest {
  private static final String ID = "5c0f1e8e-0000-4000-8000-000000000001";
  private static final Viewport SCREEN = new Viewport(0, 0, 1000, 800, 2);
  private static final PolygonPart PART = new PolygonPart(new double[] {0, 0, 9, 0, 9, 9}, List.of());
  private static final BoxPrompt BOX = new BoxPrompt(10, 20, 30, 40);

  private final List<PromptRequest> asked = new ArrayList<>();
  private final List<String> names = new ArrayList<>();
  private final Draft.PromptSender sender =
      new Draft.PromptSender() {
        @Override
        public int prompt(String objectId, PromptRequest request) {
          names.add(objectId);
          asked.add(request);
          return asked.size();
        }

        @Override
        public void forget(String objectId) {}
      };

  /** The last request is answered, as read at so many level-0 pixels a pixel. */
  private void answer(Draft draft, double downsample) {
    Outline outline =
        new Outline(
            List.of(PART), 0.5, new FieldWindow(0, 0, downsample, 256), false, 1, true, 0, 0, "m", "h",
            new Timings(0, 0, 0, 0, 0, 0), List.of(), false, List.of(), List.of(), 0);
    int last = asked.size() - 1;
    assertTrue(draft.answered(new PromptResult(names.get(last), last + 1, asked.get(last), outline, Duration.ZERO)));
  }

  private PromptRequest last() {
    return asked.get(asked.size() - 1);
  }

  private Draft boxed() {
    Draft draft = Draft.start();
    draft.sendTo(sender);
    draft.box(BOX, SCREEN);
    answer(draft, 8);
    return draft;
  }

  @Test
  void thePromptsThatItComesFromAreAskedAgainAndClicksGoOn() {
    Draft first = boxed();
    first.click(20, 30, true, SCREEN);
    answer(first, 8);
    List<PromptRequest> recorded = PromptText.readRequests(PromptText.writeRequests(first.requests()));
    asked.clear();
    names.clear();
    Draft again = Draft.goingOn(ID, recorded);
    again.sendTo(sender);
    answer(again, 8);
    answer(again, 8);
    assertEquals(recorded, asked);
    assertTrue(again.isSettled());
    assertEquals(ID, again.id());
    again.click(12, 22, false, SCREEN);
    assertEquals(3, asked.size());
    assertEquals(2, last().prompt().points().size());
    assertTrue(again.undo());
    assertTrue(again.undo());
    assertEquals(new Prompt(List.of(), BOX), again.prompt());
  }

  @Test
  void aDrawnShapeIsThePromptAndStaysWithLaterClicks() {
    Draft draft = Draft.ofShape(ID, List.of(PART), SCREEN);
    draft.sendTo(sender);
    assertEquals(List.of(PART), last().prompt().shape());
    assertNull(last().maxCandidates());
    answer(draft, 8);
    draft.click(3, 3, true, SCREEN);
    assertEquals(List.of(PART), last().prompt().shape());
    assertEquals(1, last().prompt().points().size());
  }

  @Test
  void pastTheLastCandidateHalfOrDoubleTheFieldIsAsked() {
    Draft draft = boxed();
    assertTrue(draft.resize(true));
    assertEquals(FieldChoice.downsample(16), last().field());
    assertFalse(draft.isSettled());
    assertFalse(draft.resize(true), "not before it is answered");
    answer(draft, 16);
    assertEquals(16, draft.shown().orElseThrow().outline().window().downsample());
    draft.resize(false);
    assertEquals(FieldChoice.downsample(8), last().field());
  }

  @Test
  void undoGoesBackToTheFieldBeforeWithoutAsking() {
    Draft draft = boxed();
    draft.resize(true);
    answer(draft, 16);
    int before = asked.size();
    assertTrue(draft.undo());
    assertTrue(draft.isSettled());
    assertEquals(8, draft.shown().orElseThrow().outline().window().downsample());
    assertEquals(before, asked.size());
  }

  @Test
  void aClickStaysInTheFieldThatWasChosen() {
    Draft draft = boxed();
    draft.resize(false);
    answer(draft, 4);
    draft.click(20, 30, true, SCREEN);
    assertEquals(FieldChoice.downsample(4), last().field());
  }

  @Test
  void aFieldThatTheServerRefusesTakesNoPromptBack() {
    Draft draft = boxed();
    draft.resize(false);
    int last = asked.size() - 1;
    assertTrue(
        draft.failed(
            new Failure(names.get(last), last + 1, last(), WsiSamException.of(new IllegalStateException("too small")))));
    assertEquals(new Prompt(List.of(), BOX), draft.prompt());
    assertTrue(draft.isSettled());
    assertEquals(8, draft.shown().orElseThrow().outline().window().downsample());
  }
}
