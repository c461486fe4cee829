package io.wsisam.client.annotations;

import io.wsisam.client.segmentation.FieldWindow;
import io.wsisam.client.segmentation.Level;
import io.wsisam.client.segmentation.Outline;
import io.wsisam.client.segmentation.Prompt;
import io.wsisam.client.segmentation.PromptResult;
import java.util.List;

/**
 * How a model made an outline.
 *
 * @param model its name
 * @param weightsHash SHA-256 over its tensors, hexadecimal
 * @param prompt all clicks and the box of the annotator, or null
 * @param window the high-resolution patch that it read, or null
 * @param score its own estimate of the outline's IoU, or null
 * @param levels where its border was refined, the scales at which it was segmented, the window's first; empty where it was not
 */
public record Provenance(
    String model, String weightsHash, Prompt prompt, FieldWindow window, Double score, List<Level> levels) {
  /** Copies the list. */
  public Provenance {
    levels = List.copyOf(levels);
  }

  /** That of an answer. */
  public static Provenance of(PromptResult result) {
    Outline outline = result.outline();
    return new Provenance(
        outline.model(),
        outline.weightsHash(),
        result.request().prompt(),
        outline.window(),
        outline.score(),
        outline.isRefined() ? outline.levels() : List.of());
  }
}
