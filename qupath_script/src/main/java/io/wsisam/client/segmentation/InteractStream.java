package io.wsisam.client.segmentation;

import io.grpc.ClientCall;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.ClientResponseObserver;
import io.wsisam.client.connection.Connection;
import io.wsisam.client.connection.Errors;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.slides.Lengths;
import io.wsisam.client.slides.PixelReader;
import io.wsisam.client.slides.PixelWindow;
import io.wsisam.client.slides.Slide;
import io.wsisam.client.slides.SlideWire;
import io.wsisam.v1.Cancel;
import io.wsisam.v1.InteractRequest;
import io.wsisam.v1.InteractResponse;
import io.wsisam.v1.ObjectError;
import io.wsisam.v1.ObjectOutline;
import io.wsisam.v1.PixelTile;
import io.wsisam.v1.Progress;
import io.wsisam.v1.SegmentationGrpc;
import io.wsisam.v1.Start;
import io.wsisam.v1.Started;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ScheduledFuture;

/** One attempt at one stream, from its start message to its end. On the work thread. */
final class InteractStream implements ClientResponseObserver<InteractRequest, InteractResponse> {
  /** Hears of the stream; {@code ended} comes once, last. */
  interface Listener {
    void started(Started started);

    void outline(ObjectOutline outline, String requestId);

    void error(ObjectError error, String requestId);

    void progress(Progress progress);

    /** A window could not be sent, or was not taken. */
    void pixelsFailed(WsiSamException error);

    void ended(InteractStream stream, WsiSamException error);
  }

  /** Revisions that were sent and not answered. */
  final Set<Integer> flying = new LinkedHashSet<>();

  final String slideId;

  /** How lengths were sent with its start. */
  final Lengths lengths;

  private final Connection connection;
  private final PixelReader reader;
  private final Slide slide;
  private final Listener listener;
  private final String requestId = Connection.newRequestId();
  private final Set<PixelWindow> asked = new LinkedHashSet<>();
  private final Set<PixelWindow> failed = new LinkedHashSet<>();
  private ClientCallStreamObserver<InteractRequest> out;
  private ScheduledFuture<?> startTimer;
  private SegmentOptions options;
  private boolean started;
  private boolean over;

  InteractStream(Connection connection, PixelReader reader, Slide slide, Listener listener) {
    this.connection = connection;
    this.reader = reader;
    this.slide = slide;
    slideId = slide.id();
    lengths = Lengths.of(slide);
    this.listener = listener;
  }

  void open(SegmentOptions forAll) {
    options = forAll;
    ClientCall<InteractRequest, InteractResponse> call =
        connection.stream(SegmentationGrpc.getInteractMethod(), requestId);
    ClientCalls.asyncBidiStreamingCall(call, this);
    // A new id each time: the server may not have noticed yet that the stream before this one is gone.
    Start.Builder start =
        Start.newBuilder()
            .setSessionId(UUID.randomUUID().toString())
            .setSlideId(slideId)
            .setModel(options.model())
            .setOptions(SegmentationWire.options(options, lengths));
    slide.reference().mpp().ifPresent(start::setMpp);
    send(InteractRequest.newBuilder().setStart(start).build());
    startTimer =
        connection.threads().later(
            connection.options().callTimeout(), () -> abandon(connection.errors().noAnswer(requestId)));
  }

  boolean isStarted() {
    return started && !over;
  }

  void prompt(String objectId, int revision, PromptRequest request) {
    flying.add(revision);
    send(InteractRequest.newBuilder().setPrompt(SegmentationWire.revision(objectId, revision, request, options, lengths)).build());
  }

  void viewport(Viewport viewport) {
    if (isStarted()) {
      send(InteractRequest.newBuilder().setViewport(SegmentationWire.viewport(viewport)).build());
    }
  }

  void cancel(String objectId) {
    if (isStarted()) {
      send(InteractRequest.newBuilder().setCancel(Cancel.newBuilder().setObjectId(objectId)).build());
    }
  }

  /** Ends the stream from here, without a word to the listener. */
  void drop() {
    over = true;
    stopTimer();
    out.cancel("ended by the client", null);
  }

  /** Reads again what could not be read before: the server asks for each window only once. */
  void retryPixels() {
    List<PixelWindow> again = new ArrayList<>(failed);
    failed.clear();
    again.forEach(this::sendTile);
  }

  @Override
  public void beforeStart(ClientCallStreamObserver<InteractRequest> stream) {
    out = stream;
  }

  @Override
  public void onNext(InteractResponse message) {
    if (over) {
      return;
    }
    switch (message.getMessageCase()) {
      case STARTED -> {
        started = true;
        stopTimer();
        connection.answered();
        listener.started(message.getStarted());
      }
      case OUTLINE -> {
        flying.remove(message.getOutline().getRevision());
        listener.outline(message.getOutline(), requestId);
      }
      case ERROR -> error(message.getError());
      case PROGRESS -> listener.progress(message.getProgress());
      case PIXELS_NEEDED -> SlideWire.windows(message.getPixelsNeeded()).forEach(this::sendTile);
      case MESSAGE_NOT_SET -> { /* of a newer server: nothing that this client waits for */ }
    }
  }

  @Override
  public void onError(Throwable failure) {
    end(connection.errors().of(failure, requestId));
  }

  @Override
  public void onCompleted() {
    end(connection.errors().interactEnded());
  }

  private void abandon(WsiSamException error) {
    if (!over) {
      out.cancel("no answer in time", null);
      end(error);
    }
  }

  private void end(WsiSamException error) {
    if (!over) {
      over = true;
      stopTimer();
      listener.ended(this, error);
    }
  }

  private void stopTimer() {
    if (startTimer != null) {
      startTimer.cancel(false);
    }
  }

  private void error(ObjectError error) {
    flying.remove(error.getRevision());
    if (!error.getObjectId().isEmpty()) {
      listener.error(error, requestId);
      return;
    }
    WsiSamException problem = Errors.of(error.getError(), requestId);
    PixelWindow tile =
        asked.stream().filter(window -> isAbout(problem, window)).findFirst().orElse(null);
    if (tile != null) {
      failed.add(tile);
      listener.pixelsFailed(problem);
    } else {
      listener.error(error, requestId);
    }
  }

  private static boolean isAbout(WsiSamException problem, PixelWindow window) {
    return String.valueOf(window.x()).equals(problem.details().get("x"))
        && String.valueOf(window.y()).equals(problem.details().get("y"))
        && String.valueOf(window.width()).equals(problem.details().get("width"))
        && String.valueOf(window.height()).equals(problem.details().get("height"));
  }

  private void sendTile(PixelWindow window) {
    asked.add(window);
    reader.read(slide.reference().pixels(), window).whenComplete((tile, failure) -> tileRead(window, tile, failure));
  }

  private void tileRead(PixelWindow window, PixelTile tile, Throwable failure) {
    if (over) {
      return;
    }
    if (failure == null) {
      send(InteractRequest.newBuilder().setTile(tile).build());
    } else {
      failed.add(window);
      listener.pixelsFailed(WsiSamException.of(failure));
    }
  }

  private void send(InteractRequest request) {
    out.onNext(request);
  }
}
