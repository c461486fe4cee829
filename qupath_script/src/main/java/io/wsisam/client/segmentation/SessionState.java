package io.wsisam.client.segmentation;

/** Where a session's connection is. */
public enum SessionState {
  /** On its way to the server. */
  CONNECTING,
  /** Prompts are answered. */
  READY,
  /** The connection was lost or refused; it will be tried again. */
  WAITING,
  /** For good: what has to change first is in the cause. A new session is needed then. */
  FAILED,
  /** Closed by its owner. */
  CLOSED
}
