package io.wsisam.client.segmentation;

/** One object of a session: what was asked last, and what was answered. Belongs to the work thread. */
final class Subject {
  /** The newest turn without an answer, or null. */
  Turn latest;

  /** The newest answer, or null. */
  Answer answered;

  /** The stream that knows this object, or null. */
  Object knownTo;

  /**
   * The revision that is being answered for the server's memory alone, or 0. The server feeds an object's last answer
   * back to the model; a new stream has none, so the last answered prompt is asked once more before one that adds to it.
   */
  int reminder;

  /** Whether a turn is better answered by a server that remembers the answer before it. */
  boolean needsReminder(Turn turn, Object stream) {
    return knownTo != stream
        && answered != null
        && turn.ask.field() == null
        && turn.ask.prompt().extendsEarlier(answered.ask().prompt());
  }
}
