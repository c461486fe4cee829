package io.wsisam.client.segmentation;

/** One object of a session: its last prompt, and its last result. Belongs to the work thread. */
final class ObjectState {
  /** The newest prompt without an answer, or null. */
  PendingPrompt latest;

  /** The newest answer, or null. */
  PromptResult answered;

  /** The stream that knows this object, or null. */
  Object knownTo;

  /**
   * The revision that is being answered for the server's memory alone, or 0. The server feeds an object's last answer
   * back to the model; a new stream has none, so the last answered prompt is asked once more before one that adds to it.
   */
  int reminder;

  /** Whether a prompt is better answered by a server that remembers the answer before it. */
  boolean needsReminder(PendingPrompt pending, Object stream) {
    return knownTo != stream
        && answered != null
        && pending.request.field() == null
        && pending.request.prompt().extendsEarlier(answered.request().prompt());
  }
}
