package io.wsisam.client;

/**
 * How a model made an outline.
 *
 * @param model its name
 * @param weightsHash SHA-256 over its tensors, hexadecimal
 * @param prompt all that the annotator said, or null
 * @param window the high-resolution patch that it read, or null
 * @param score its own estimate of the outline's IoU, or null
 */
public record Provenance(String model, String weightsHash, Prompt prompt, FieldWindow window, Double score) {
  /** That of an answer. */
  public static Provenance of(Answer answer) {
    Outline outline = answer.outline();
    return new Provenance(
        outline.model(), outline.weightsHash(), answer.ask().prompt(), outline.window(), outline.score());
  }
}
