package io.wsisam.client.segmentation;

import java.util.concurrent.ScheduledFuture;

/** One revision of an object's prompt on its way to an answer. Belongs to the work thread. */
final class PendingPrompt {
  final String objectId;
  final int revision;
  final PromptRequest request;
  final long asked = System.nanoTime();

  /** Fails the prompt when the server has sent nothing about it in time. */
  ScheduledFuture<?> timer;

  /** Whether it was sent on the present stream. */
  boolean sent;

  /** Whether the server waits for pixels. */
  boolean wantsPixels;

  /** Whether it was sent again already because the server had forgotten the slide. */
  boolean sentAgain;

  PendingPrompt(String objectId, int revision, PromptRequest request) {
    this.objectId = objectId;
    this.revision = revision;
    this.request = request;
  }
}
