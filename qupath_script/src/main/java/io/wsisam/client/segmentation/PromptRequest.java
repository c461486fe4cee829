package io.wsisam.client.segmentation;

import java.util.Objects;

/**
 * A request for an outline: a prompt and its context.
 *
 * @param prompt the whole prompt of one object
 * @param viewport what the annotator saw, or null
 * @param field the caller's own choice of context, or null for the server's
 * @param refinement how finely the border is refined, or null for as the field shows it
 * @param maxCandidates how many outlines are wanted, 1 to 4, in place of the options'; null for theirs. In a batch, the options
 *     hold for all
 */
public record PromptRequest(
    Prompt prompt, Viewport viewport, FieldChoice field, Refinement refinement, Integer maxCandidates) {
  /** Refuses a missing prompt. */
  public PromptRequest {
    Objects.requireNonNull(prompt, "prompt");
  }

  /** A prompt alone. */
  public static PromptRequest of(Prompt prompt) {
    return new PromptRequest(prompt, null, null, null, null);
  }

  /** As seen in this viewport; null for none. */
  public PromptRequest from(Viewport newViewport) {
    return new PromptRequest(prompt, newViewport, field, refinement, maxCandidates);
  }

  /** With this context; null for the server's choice. */
  public PromptRequest in(FieldChoice newField) {
    return new PromptRequest(prompt, viewport, newField, refinement, maxCandidates);
  }

  /** With its border refined; null for as the field shows it. */
  public PromptRequest refined(Refinement newRefinement) {
    return new PromptRequest(prompt, viewport, field, newRefinement, maxCandidates);
  }

  /** With so many outlines; null for as many as the options say. */
  public PromptRequest withCandidates(Integer most) {
    return new PromptRequest(prompt, viewport, field, refinement, most);
  }

  /** Where a candidate of its answer is meant; null for the one of the highest score. */
  public PromptRequest meaning(Integer candidate) {
    return new PromptRequest(prompt.meaning(candidate), viewport, field, refinement, maxCandidates);
  }
}
