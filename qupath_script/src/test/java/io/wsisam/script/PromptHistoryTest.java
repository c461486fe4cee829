package io.wsisam.script;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.client.segmentation.BoxPrompt;
import io.wsisam.client.segmentation.PointPrompt;
import io.wsisam.client.segmentation.PolygonPart;
import io.wsisam.client.segmentation.Prompt;
import java.util.List;
import org.junit.jupiter.api.Test;

class PromptHistoryTest {
  private final PromptHistory history = PromptHistory.start();

  @Test
  void aNewOneIsEmptyAndHasItsOwnId() {
    assertTrue(history.isEmpty());
    assertFalse(history.isSendable());
    assertFalse(history.undo());
    assertEquals("nothing yet", history.summary());
    assertNotEquals(PromptHistory.start().objectId(), history.objectId());
    assertEquals("mine", new PromptHistory("mine").objectId());
  }

  @Test
  void undoTakesBackClicksAndBoxesInTheirOrder() {
    history.box(BoxPrompt.between(10, 20, 0, 5));
    history.click(5, 6, true);
    history.click(9, 9, false);
    assertEquals("box, 1 positive, 1 negative", history.summary());
    assertEquals(new BoxPrompt(0, 5, 10, 20), history.prompt().box());
    assertTrue(history.undo());
    assertEquals(List.of(new PointPrompt(5, 6, true)), history.prompt().points());
    history.box(new BoxPrompt(1, 1, 2, 2));
    assertTrue(history.undo());
    assertEquals(new BoxPrompt(0, 5, 10, 20), history.prompt().box());
    assertTrue(history.undo());
    assertTrue(history.undo());
    assertTrue(history.isEmpty());
    assertFalse(history.undo());
  }

  @Test
  void anotherShapeIsInPlaceOfTheOneBeforeAndClicksStay() {
    PolygonPart rough = new PolygonPart(new double[] {0, 0, 9, 0, 9, 9}, List.of());
    PolygonPart better = new PolygonPart(new double[] {0, 0, 8, 0, 8, 8}, List.of());
    history.shape(List.of(rough));
    assertTrue(history.isSendable());
    history.click(5, 6, false);
    history.shape(List.of(better));
    assertEquals("shape, 1 negative", history.summary());
    assertEquals(List.of(better), history.prompt().shape());
    assertEquals(3, history.steps().size());
    assertTrue(history.undo());
    assertEquals(List.of(rough), history.prompt().shape());
  }

  @Test
  void redoGivesBackUntilSomethingNewIsSaid() {
    history.click(1, 1, true);
    history.click(2, 2, true);
    assertTrue(history.undo());
    assertTrue(history.redo());
    assertEquals(2, history.size());
    assertTrue(history.undo());
    history.click(3, 3, false);
    assertFalse(history.redo());
    assertEquals("1 positive, 1 negative", history.summary());
  }

  @Test
  void stepsAreWhatAServerAnswersInTheOrderInWhichItGrew() {
    history.click(1, 1, false);
    assertFalse(history.isSendable());
    history.click(2, 2, true);
    history.click(3, 3, true);
    history.undo();
    Prompt both = new Prompt(List.of(new PointPrompt(1, 1, false), new PointPrompt(2, 2, true)), null);
    assertEquals(List.of(both), history.steps());
    assertEquals(both, history.prompt());
  }
}
