package io.wsisam.client.segmentation;

import java.util.Objects;

/**
 * A request for an outline: a prompt and its context.
 *
 * @param prompt the whole prompt of one object
 * @param viewport what the annotator saw, or null
 * @param field the caller's own choice of context, or null for the server's
 * @param refinement how finely the border is refined, or null for as the field shows it
 */
public record PromptRequest(Prompt prompt, Viewport viewport, FieldChoice field, Refinement refinement) {
  /** Refuses a missing prompt. */
  public PromptRequest {
    Objects.requireNonNull(prompt, "prompt");
  }

  /** A prompt alone. */
  public static PromptRequest of(Prompt prompt) {
    return new PromptRequest(prompt, null, null, null);
  }

  /** As seen in this viewport; null for none. */
  public PromptRequest from(Viewport newViewport) {
    return new PromptRequest(prompt, newViewport, field, refinement);
  }

  /** With this context; null for the server's choice. */
  public PromptRequest in(FieldChoice newField) {
    return new PromptRequest(prompt, viewport, newField, refinement);
  }

  /** With its border refined; null for as the field shows it. */
  public PromptRequest refined(Refinement newRefinement) {
    return new PromptRequest(prompt, viewport, field, newRefinement);
  }
}
