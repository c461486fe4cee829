package io.wsisam.client.connection;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.wsisam.v1.PixelsNeeded;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/** Failed calls and failed items as the one exception of this client. */
public final class Errors {
  private static final Set<String> TRANSIENT = Set.of("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED");
  private static final Set<String> TRANSIENT_WITHOUT_REASON = Set.of("ABORTED", "INTERNAL", "CANCELLED", "UNKNOWN");
  private static final Set<String> TRANSIENT_REASONS = Set.of("SESSION_IN_USE");

  /** A person has to do something about these first. */
  private static final Set<String> LASTING_REASONS = Set.of(ClientReason.TLS_FAILED, "STORE_FULL");

  /** Of prompts that the server did not take, so that they may be sent again as they are. */
  private static final Set<String> NOT_TAKEN = Set.of("QUEUE_FULL", "TOO_MANY_PROMPTS", "TOO_MANY_MESSAGES");

  private static final Duration HINT = Duration.ofSeconds(1);

  /** What gRPC says of an answer that is HTTP but not gRPC, or not even HTTP/2. */
  private static final Pattern NOT_GRPC =
      Pattern.compile("HTTP status code|invalid content-type|error in frame handler");

  private final ServerAddress address;
  private final LineErrors line;
  private volatile boolean reached;

  Errors(ServerAddress address) {
    this.address = address;
    line = new LineErrors(address);
  }

  /** Notes that the server has answered: what ends the connection later is no fault of the address. */
  void answered() {
    reached = true;
  }

  /** Whether the same call may succeed a little later. */
  public static boolean isTransient(WsiSamException error) {
    return TRANSIENT_REASONS.contains(error.reason())
        || (TRANSIENT.contains(error.status()) && !LASTING_REASONS.contains(error.reason()))
        || (error.reason().isEmpty() && TRANSIENT_WITHOUT_REASON.contains(error.status()));
  }

  /** Whether the line or the server was lost, so that what was begun may be gone on with when it is back. */
  public static boolean isLost(WsiSamException error) {
    return isTransient(error) && !error.status().equals("RESOURCE_EXHAUSTED");
  }

  /** When to send a prompt again that the server did not take for now; null for any other error. */
  public static Duration notTaken(WsiSamException error) {
    if (!NOT_TAKEN.contains(error.reason())) {
      return null;
    }
    return error.retryAfter().orElse(HINT);
  }

  public static WsiSamException closed() {
    return new WsiSamException("CANCELLED", ClientReason.CLIENT_CLOSED, "The connection to the server was closed here.");
  }

  public static WsiSamException sessionClosed() {
    return new WsiSamException("CANCELLED", ClientReason.SESSION_CLOSED, "The session was closed before the answer came.");
  }

  public static WsiSamException batchCancelled() {
    return new WsiSamException(
        "CANCELLED", ClientReason.BATCH_CANCELLED, "The batch was cancelled before this item was answered.");
  }

  /** The file that a server opened is another image than the one that is open here. */
  public static WsiSamException slideDiffers(String theirs, String ours) {
    return new WsiSamException(
        "FAILED_PRECONDITION",
        ClientReason.SLIDE_DIFFERS,
        "The server's file is " + theirs + " pixels, the image that is open here " + ours
            + ": they are not the same image. Allow its pixels to be sent, or have the path mapping checked.");
  }

  public static WsiSamException slideClosed() {
    return new WsiSamException("FAILED_PRECONDITION", ClientReason.SLIDE_CLOSED, "The image was closed here. Open it again.");
  }

  /** With reason PIXELS_NEEDED: the windows to send. */
  public static PixelsNeeded pixelsNeeded(WsiSamException error) {
    return error.pixelsNeeded();
  }

  public static WsiSamException superseded() {
    return new WsiSamException("ABORTED", "SUPERSEDED", "A newer prompt of the same object took this one's place.");
  }

  public static WsiSamException cancelled() {
    return new WsiSamException("CANCELLED", "PROMPT_CANCELLED", "The prompt was called off before it was answered.");
  }

  public static WsiSamException pixelsFailed(String why, Throwable cause) {
    return new WsiSamException(
        "FAILED_PRECONDITION",
        ClientReason.PIXELS_FAILED,
        "The server cannot open this image and its pixels could not be read here: " + why,
        cause);
  }

  public static WsiSamException surveyTooLarge(int windows) {
    return new WsiSamException(
        "RESOURCE_EXHAUSTED",
        ClientReason.PIXELS_FAILED,
        "The server cannot open this image, and the pixels of the region ("
            + windows
            + " windows) do not fit into one message. Choose a smaller region, or let the server see the file.");
  }

  public static WsiSamException anotherStore() {
    return new WsiSamException(
        "FAILED_PRECONDITION",
        ClientReason.STORE_CHANGED,
        "The server now keeps another store of annotations, in which the revisions known here mean nothing. List anew.");
  }

  public static WsiSamException streamEnded(String requestId) {
    return own("UNAVAILABLE", ClientReason.CONNECTION_LOST, "The server ended the connection.", requestId);
  }

  public static WsiSamException unexpected(String what) {
    return new WsiSamException("INTERNAL", ClientReason.UNEXPECTED_ANSWER, "The server answered unexpectedly: " + what);
  }

  /** The server ended a stream that goes on for as long as its user works. */
  public WsiSamException interactEnded() {
    return new WsiSamException(
        "UNAVAILABLE", ClientReason.CONNECTION_LOST, "The server at " + address + " ended the stream.");
  }

  public WsiSamException noAnswer(String requestId) {
    return own(
        "DEADLINE_EXCEEDED",
        ClientReason.NO_ANSWER_IN_TIME,
        "The server at " + address + " did not answer in time. It may be busy, or the network slow; try again.",
        requestId);
  }

  /** A failed call. */
  public WsiSamException of(Throwable failure, String requestId) {
    if (!(failure instanceof StatusRuntimeException call)) {
      return WsiSamException.of(failure);
    }
    Status status = call.getStatus();
    com.google.rpc.Status details = StatusProto.fromThrowable(call);
    WsiSamException known = of(details == null ? com.google.rpc.Status.getDefaultInstance() : details, requestId);
    String text = status.getDescription() == null ? status.getCode().name() : status.getDescription();
    return known.reason().isEmpty() ? withoutReason(status, text, requestId) : known;
  }

  /** A status: of a failed call, or of one item of a stream. */
  public static WsiSamException of(com.google.rpc.Status status, String requestId) {
    ErrorInfo info = ErrorInfo.getDefaultInstance();
    Duration retryAfter = null;
    List<FieldViolation> violations = new ArrayList<>();
    PixelsNeeded needed = PixelsNeeded.getDefaultInstance();
    for (Any packed : status.getDetailsList()) {
      try {
        if (packed.is(ErrorInfo.class)) {
          info = packed.unpack(ErrorInfo.class);
        } else if (packed.is(RetryInfo.class)) {
          com.google.protobuf.Duration delay = packed.unpack(RetryInfo.class).getRetryDelay();
          retryAfter = Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
        } else if (packed.is(BadRequest.class)) {
          packed.unpack(BadRequest.class).getFieldViolationsList().stream()
              .map(one -> new FieldViolation(one.getField(), one.getDescription()))
              .forEach(violations::add);
        } else if (packed.is(PixelsNeeded.class)) {
          needed = packed.unpack(PixelsNeeded.class);
        }
      } catch (InvalidProtocolBufferException damaged) {
        String text = "The server's error cannot be read: " + status.getMessage();
        return own("INTERNAL", ClientReason.UNEXPECTED_ANSWER, text, requestId);
      }
    }
    String code = Status.fromCodeValue(status.getCode()).getCode().name();
    return new WsiSamException(
        code, info.getReason(), status.getMessage(), requestId, info.getMetadataMap(), retryAfter, violations, needed);
  }

  /** A failure that gRPC made, or something else than our server. */
  private WsiSamException withoutReason(Status status, String text, String requestId) {
    String name = status.getCode().name();
    if (NOT_GRPC.matcher(text).find()) {
      return own(
          "UNIMPLEMENTED",
          ClientReason.NOT_A_WSISAM_SERVER,
          "What answers at " + address + " is no wsisam server. Check the address and the port.",
          requestId);
    }
    return switch (status.getCode()) {
      case UNAVAILABLE -> line.of(status.getCause(), text, reached, requestId);
      case DEADLINE_EXCEEDED -> noAnswer(requestId);
      case UNIMPLEMENTED ->
          own(
              name,
              ClientReason.SERVER_TOO_OLD,
              "The server at " + address + " does not know this call: it is older than this client, or no wsisam "
                  + "server. Update it (wsisam --version shows what it is).",
              requestId);
      case UNAUTHENTICATED, PERMISSION_DENIED ->
          own(name, "", "The server at " + address + " refused: " + text, requestId);
      default -> own(name, "", "The call to " + address + " failed: " + text, requestId);
    };
  }

  private static WsiSamException own(String status, String reason, String text, String requestId) {
    return new WsiSamException(status, reason, text, requestId, Map.of());
  }
}
