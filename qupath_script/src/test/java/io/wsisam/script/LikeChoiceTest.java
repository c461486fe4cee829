package io.wsisam.script;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.client.segmentation.LikeProposal;
import io.wsisam.client.segmentation.PromptResult;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What is taken of proposals. */
class LikeChoiceTest {
  private static LikeProposal proposal(String id, double similarity) {
    return new LikeProposal(new PromptResult(id, 0, null, null, Duration.ZERO), similarity, "");
  }

  private static List<String> ids(List<LikeProposal> some) {
    return some.stream().map(one -> one.result().objectId()).toList();
  }

  private final LikeProposal low = proposal("low", 0.2);
  private final LikeProposal middle = proposal("middle", 0.4);
  private final LikeProposal high = proposal("high", 0.9);
  private final LikeChoice choice = new LikeChoice(List.of(middle, low, high), false);

  @Test
  void theSurestComeFirstAndTheSliderSaysHowManyThereAre() {
    assertEquals(List.of("high", "middle"), ids(choice.taken()));
    choice.least(0.9);
    assertEquals(List.of("high"), ids(choice.taken()));
    choice.least(0);
    assertEquals(List.of("high", "middle", "low"), ids(choice.taken()));
    assertEquals(0.5, choice.expectedPrecision().orElseThrow(), 1e-9);
    choice.least(1);
    assertTrue(choice.expectedPrecision().isEmpty());
  }

  @Test
  void whatWasRejectedIsShownAndNotTaken() {
    choice.toggle(high);
    assertEquals(List.of("high", "middle"), ids(choice.shown()));
    assertEquals(List.of("middle"), ids(choice.taken()));
    choice.least(0.95);
    assertEquals(List.of("high"), ids(choice.rejected())); // it stays rejected, wherever the slider is
    choice.toggle(high);
    assertFalse(choice.isRejected(high));
  }

  @Test
  void whereTheExemplarsDoNotTellTheirKindApartLessIsShown() {
    assertEquals(List.of("high"), ids(new LikeChoice(List.of(low, middle, high), true).taken()));
  }
}
