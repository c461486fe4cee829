package io.wsisam.client;

import java.util.Objects;

/**
 * A prompt and what it should be understood by.
 *
 * @param prompt the whole prompt of one object
 * @param viewport what the annotator saw, or null
 * @param field the caller's own choice of context, or null for the server's
 */
public record Ask(Prompt prompt, Viewport viewport, FieldChoice field) {
  /** Refuses a missing prompt. */
  public Ask {
    Objects.requireNonNull(prompt, "prompt");
  }

  /** A prompt alone. */
  public static Ask of(Prompt prompt) {
    return new Ask(prompt, null, null);
  }

  /** As seen in this viewport; null for none. */
  public Ask from(Viewport newViewport) {
    return new Ask(prompt, newViewport, field);
  }

  /** With this context; null for the server's choice. */
  public Ask in(FieldChoice newField) {
    return new Ask(prompt, viewport, newField);
  }
}
