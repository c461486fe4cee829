package io.wsisam.extension.local;

/** The local server could not be started, or has ended; the message says why and what to do, in one sentence or two. */
public final class LocalServerException extends Exception {
  private static final long serialVersionUID = 1L;

  LocalServerException(String text) {
    super(text);
  }

  LocalServerException(String text, Throwable cause) {
    super(text, cause);
  }
}
