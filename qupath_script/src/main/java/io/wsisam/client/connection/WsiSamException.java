package io.wsisam.client.connection;

import io.wsisam.v1.PixelsNeeded;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;

/** The only exception of this client: what failed, for programs (status, reason) and for people (text). */
public final class WsiSamException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private static final Set<String> REPLACED = Set.of("SUPERSEDED", "PROMPT_CANCELLED", ClientReason.BATCH_CANCELLED);

  private final String status;
  private final String reason;
  private final String requestId;
  @SuppressWarnings("serial") // what Map.copyOf makes is serializable; javac asks since 18
  private final Map<String, String> details;
  private final Duration retryAfter;

  private final transient List<FieldViolation> violations;
  private final transient PixelsNeeded pixelsNeeded;

  WsiSamException(
      String status,
      String reason,
      String text,
      String requestId,
      Map<String, String> details,
      Duration retryAfter,
      List<FieldViolation> violations,
      PixelsNeeded pixelsNeeded) {
    super(named(text, reason));
    this.status = status;
    this.reason = reason;
    this.requestId = requestId;
    this.details = Map.copyOf(details);
    this.retryAfter = retryAfter;
    this.violations = List.copyOf(violations);
    this.pixelsNeeded = pixelsNeeded;
  }

  WsiSamException(String status, String reason, String text, String requestId, Map<String, String> details) {
    this(status, reason, text, requestId, details, null, List.of(), PixelsNeeded.getDefaultInstance());
  }

  WsiSamException(String status, String reason, String text) {
    this(status, reason, text, "", Map.of());
  }

  WsiSamException(String status, String reason, String text, Throwable cause) {
    this(status, reason, text);
    initCause(cause);
  }

  /** What a future failed with: takes it out of its wrappings; anything that is not ours becomes UNEXPECTED. */
  public static WsiSamException of(Throwable failure) {
    Throwable inner = failure;
    while ((inner instanceof CompletionException || inner instanceof ExecutionException) && inner.getCause() != null) {
      inner = inner.getCause();
    }
    return inner instanceof WsiSamException ours
        ? ours
        : new WsiSamException("UNKNOWN", ClientReason.UNEXPECTED, String.valueOf(inner), inner);
  }

  /** A text with the reason at its end, once: the word by which docs/troubleshooting.md has it. Servers of 0.1 did not. */
  private static String named(String text, String reason) {
    String tag = "[" + reason + "]";
    return reason.isEmpty() || text.endsWith(tag) ? text : text + " " + tag;
  }

  /** BAD_PROMPT_TEXT: a text that should hold prompts and does not. */
  public static WsiSamException badPromptText(String text, Throwable cause) {
    int shown = 60;
    String start = text.length() > shown ? text.substring(0, shown) + "..." : text;
    return new WsiSamException(
        "INVALID_ARGUMENT", ClientReason.BAD_PROMPT_TEXT, "This text holds no prompts: " + start, cause);
  }

  /** BAD_TOKEN_FILE: the file that should hold the user's token cannot be read. */
  public static WsiSamException badTokenFile(String path, Throwable cause) {
    return new WsiSamException(
        "FAILED_PRECONDITION", ClientReason.BAD_TOKEN_FILE, "The token file " + path + " cannot be read.", cause);
  }

  /** Name of the gRPC status, for example "INVALID_ARGUMENT". */
  public String status() {
    return status;
  }

  /** Stable, machine-readable: one of the server's catalogue or of {@link ClientReason}; "" for a failure without one. */
  public String reason() {
    return reason;
  }

  /** What happened and what to do, for people, with the reason at its end. */
  public String text() {
    return getMessage();
  }

  /** The id of the call in the server's log; "" when there was no call. */
  public String requestId() {
    return requestId;
  }

  /** Structured details, for example the limit that was passed. */
  public Map<String, String> details() {
    return details;
  }

  /** After which the same may succeed, without anybody's doing; empty where it will not. */
  public Optional<Duration> retryAfter() {
    return Optional.ofNullable(retryAfter);
  }

  /** The fields of the request that are at fault; none of most errors. */
  public List<FieldViolation> violations() {
    return violations == null ? List.of() : violations; // after it was serialized
  }

  /** With reason PIXELS_NEEDED: the windows to send. */
  PixelsNeeded pixelsNeeded() {
    return pixelsNeeded;
  }

  /** Whether the prompt was replaced or called off: not a trouble of the user's. */
  public boolean isSuperseded() {
    return REPLACED.contains(reason);
  }

  /** Whether the server was not reached, is starting or stopping, or did not answer in time. */
  public boolean isConnection() {
    return status.equals("UNAVAILABLE") || reason.equals(ClientReason.NO_ANSWER_IN_TIME);
  }

  @Override
  public String toString() {
    String id = requestId.isEmpty() ? "" : " [request " + requestId + "]";
    return "WsiSamException: " + status + ": " + getMessage() + id;
  }
}
