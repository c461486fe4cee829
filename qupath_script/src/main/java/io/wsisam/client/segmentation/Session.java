package io.wsisam.client.segmentation;

import io.wsisam.client.connection.Backoff;
import io.wsisam.client.connection.Connection;
import io.wsisam.client.connection.Errors;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.slides.PixelReader;
import io.wsisam.client.slides.Slide;
import io.wsisam.client.slides.SlideOpener;
import io.wsisam.client.slides.SlideWire;
import io.wsisam.v1.ObjectError;
import io.wsisam.v1.ObjectOutline;
import io.wsisam.v1.Progress;
import io.wsisam.v1.Started;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;

/**
 * One annotator at work on one image.
 *
 * <p>Every prompt that {@link #prompt} takes is reported exactly once: by {@link SessionListener#onOutline} or by
 * {@link SessionListener#onFailed}, also when a newer one replaced it, when the session was closed, or when no answer
 * came in time. When the connection is lost, what is unanswered is sent again; of each object the latest prompt wins.
 *
 * <p>Safe to use from any thread; nothing blocks.
 */
public final class Session implements AutoCloseable {
  /** Prompts that are sent before the first of them is answered: well below what a server queues for one stream. */
  private static final int IN_FLIGHT = 64;

  private final Connection connection;
  private final SlideOpener opener;
  private final PixelReader reader;
  private final Slide slide;
  private final SegmentOptions options;
  private final SessionListener listener;
  private final AtomicInteger unanswered = new AtomicInteger();
  private final Consumer<WsiSamException> ending = error -> end(SessionState.CLOSED, error);
  private volatile SessionState state = SessionState.CONNECTING;
  private int revisions; // guarded by this

  // All below belongs to the work thread.
  private final Map<Integer, PendingPrompt> pendingPrompts = new TreeMap<>();
  private final Map<String, ObjectState> objects = new HashMap<>();
  private final Deque<PendingPrompt> queue = new ArrayDeque<>();
  private final Backoff backoff;
  private final ViewportHint hint;
  private InteractStream stream;
  private WsiSamException trouble;
  private WsiSamException over;
  private boolean reopened;

  Session(
      Connection connection,
      SlideOpener opener,
      PixelReader reader,
      Slide slide,
      SegmentOptions options,
      SessionListener listener) {
    this.connection = connection;
    this.opener = opener;
    this.reader = reader;
    this.slide = Objects.requireNonNull(slide, "slide");
    this.options = Objects.requireNonNull(options, "options");
    this.listener = Objects.requireNonNull(listener, "listener");
    backoff = new Backoff(connection.options().firstRetry(), connection.options().longestRetry());
    hint = new ViewportHint(connection.threads(), viewport -> stream.viewport(viewport));
    run(
        () -> {
          if (connection.ended() != null) {
            end(SessionState.CLOSED, connection.ended());
          } else {
            connection.onEnd(ending);
            connect();
          }
        });
  }

  /**
   * Asks for an object's outline.
   *
   * @param objectId the caller's own id of the object, 1 to 128 characters, for example a UUID
   * @param request the whole prompt of the object so far, not the change since the last one
   * @return the revision that the answer will carry: greater than that of every earlier prompt
   * @throws WsiSamException CLIENT_CLOSED; nothing will be reported then
   */
  public synchronized int prompt(String objectId, PromptRequest request) {
    PendingPrompt pending = new PendingPrompt(Objects.requireNonNull(objectId), ++revisions, Objects.requireNonNull(request));
    unanswered.incrementAndGet();
    try {
      run(() -> take(pending));
    } catch (WsiSamException closed) {
      unanswered.decrementAndGet();
      throw closed;
    }
    return pending.revision;
  }

  /**
   * Says what the annotator sees. May be called at each move: it is sent when the view rests, or once a second.
   *
   * @throws WsiSamException CLIENT_CLOSED
   */
  public void viewport(Viewport viewport) {
    Objects.requireNonNull(viewport);
    run(
        () -> {
          if (over == null) {
            hint.move(viewport);
          }
        });
  }

  /**
   * Ends the work on an object, accepted or not. A prompt of it that is unanswered fails with PROMPT_CANCELLED.
   *
   * @throws WsiSamException CLIENT_CLOSED
   */
  public void forget(String objectId) {
    Objects.requireNonNull(objectId);
    run(
        () -> {
          ObjectState object = objects.remove(objectId);
          if (object != null) {
            List.copyOf(pendingPrompts.values()).stream()
                .filter(pending -> pending.objectId.equals(objectId))
                .forEach(pending -> fail(pending, Errors.cancelled()));
            if (stream != null && object.knownTo == stream) {
              stream.cancel(objectId);
            }
            pump();
          }
        });
  }

  /** The image that it is about. */
  public Slide slide() {
    return slide;
  }

  /** Where the connection is. */
  public SessionState state() {
    return state;
  }

  /** Prompts that were taken and not reported yet. */
  public int unanswered() {
    return unanswered.get();
  }

  /** Ends the session; unanswered prompts fail with SESSION_CLOSED. May be called again. */
  @Override
  public void close() {
    connection.threads().work(() -> end(SessionState.CLOSED, Errors.sessionClosed()));
  }

  private void run(Runnable task) {
    if (!connection.threads().work(task)) {
      throw Errors.closed();
    }
  }

  // -- Connecting -------------------------------------------------------------------------------------------------

  private void connect() {
    if (over != null) {
      return;
    }
    become(SessionState.CONNECTING, null);
    stream = new InteractStream(connection, reader, slide, new StreamListener());
    stream.open(options);
  }

  private void reopen(String staleId) {
    if (over == null) {
      opener
          .reopen(slide, staleId, connection.options().callTimeout())
          .whenComplete(
              (id, failure) -> {
                if (failure == null) {
                  reopened = true;
                  connect();
                } else {
                  lost(WsiSamException.of(failure), () -> reopen(staleId));
                }
              });
    }
  }

  /** Waits and tries again, or gives up when waiting does not help. */
  private void lost(WsiSamException error, Runnable next) {
    if (over != null) {
      return;
    }
    if (error.reason().equals("UNKNOWN_SLIDE_ID") && !reopened) {
      become(SessionState.CONNECTING, null);
      next.run(); // the server was restarted and has just answered: no need to wait
      return;
    }
    if (Errors.isTransient(error) || error.reason().equals("UNKNOWN_SLIDE_ID")) {
      trouble = error;
      become(SessionState.WAITING, error);
      connection.pause(backoff.next(), next);
    } else {
      end(SessionState.FAILED, error);
    }
  }

  /** Puts all that the lost stream had back into the queue; what was replaced meanwhile is reported as such. */
  private void requeue() {
    queue.clear();
    for (PendingPrompt pending : List.copyOf(pendingPrompts.values())) {
      pending.sent = false;
      pending.wantsPixels = false;
      if (objects.get(pending.objectId).latest == pending) {
        queue.add(pending);
      } else {
        fail(pending, Errors.superseded());
      }
    }
    objects.values().forEach(object -> object.reminder = 0);
  }

  private void end(SessionState last, WsiSamException error) {
    if (over != null) {
      return;
    }
    over = error;
    connection.forgetEnding(ending);
    hint.stop();
    if (stream != null) {
      stream.drop();
    }
    become(last, last == SessionState.FAILED ? error : null);
    List.copyOf(pendingPrompts.values()).forEach(pending -> fail(pending, error));
    queue.clear();
    objects.clear();
  }

  private void become(SessionState next, WsiSamException cause) {
    state = next;
    connection.threads().callback(() -> listener.onState(next, cause));
  }

  // -- Prompts ----------------------------------------------------------------------------------------------------

  private void take(PendingPrompt pending) {
    if (over != null) {
      report(pending, over);
      return;
    }
    pendingPrompts.put(pending.revision, pending);
    ObjectState object = objects.computeIfAbsent(pending.objectId, id -> new ObjectState());
    if (object.latest != null && !object.latest.sent) {
      fail(object.latest, Errors.superseded());
    }
    object.latest = pending;
    expect(pending);
    queue.add(pending);
    pump();
  }

  /** Gives the server as long as it may take, from now on. */
  private void expect(PendingPrompt pending) {
    if (pending.timer != null) {
      pending.timer.cancel(false);
    }
    pending.timer = connection.threads().later(connection.options().answerTimeout(), () -> expire(pending));
  }

  /** Sends what may be sent now. */
  private void pump() {
    while (stream != null && stream.isStarted() && stream.flying.size() < IN_FLIGHT && !queue.isEmpty()) {
      PendingPrompt pending = queue.poll();
      ObjectState object = objects.get(pending.objectId);
      if (pendingPrompts.get(pending.revision) != pending || object.reminder != 0) {
        continue; // answered for already; or sent when the reminder is answered
      }
      if (object.needsReminder(pending, stream)) {
        PromptResult before = object.answered;
        object.reminder = before.revision();
        stream.prompt(
            pending.objectId,
            before.revision(),
            before.request().refined(null).in(FieldChoice.window(before.outline().window())));
      } else {
        pending.sent = true;
        stream.prompt(pending.objectId, pending.revision, pending.request);
      }
      object.knownTo = stream;
    }
  }

  /** Sends a prompt again that the server did not take for now. A lost stream, or a newer prompt, does it instead. */
  private void sendLater(PendingPrompt pending, Duration pause) {
    InteractStream same = stream;
    pending.sent = false;
    connection.threads().later(
        pause,
        () -> {
          if (stream == same && pendingPrompts.get(pending.revision) == pending && !pending.sent) {
            queue.add(pending);
            pump();
          }
        });
  }

  private void expire(PendingPrompt pending) {
    if (pendingPrompts.get(pending.revision) == pending) {
      boolean away = state != SessionState.READY && trouble != null;
      fail(pending, away ? trouble : connection.errors().noAnswer(""));
      giveUp(pending);
      pump();
    }
  }

  /** Has the server forget an object whose latest prompt was failed here. */
  private void giveUp(PendingPrompt pending) {
    ObjectState object = objects.get(pending.objectId);
    if (pending.sent && object != null && object.latest == null && object.knownTo == stream) {
      stream.cancel(pending.objectId);
      object.knownTo = null;
    }
  }

  private void fail(PendingPrompt pending, WsiSamException error) {
    if (settle(pending)) {
      report(pending, error);
    }
  }

  /** Removes a pending prompt; false when that was done before. */
  private boolean settle(PendingPrompt pending) {
    if (!pendingPrompts.remove(pending.revision, pending)) {
      return false;
    }
    pending.timer.cancel(false);
    ObjectState object = objects.get(pending.objectId);
    if (object != null && object.latest == pending) {
      object.latest = null;
    }
    return true;
  }

  private void report(PendingPrompt pending, WsiSamException error) {
    unanswered.decrementAndGet();
    Failure failure = new Failure(pending.objectId, pending.revision, pending.request, error);
    connection.threads().callback(() -> listener.onFailed(failure));
  }

  /** Whether a message answers a reminder; the prompt that waits for it is then sent. */
  private boolean endsReminder(String objectId, int revision) {
    ObjectState object = objects.get(objectId);
    if (object == null || object.reminder != revision) {
      return false;
    }
    object.reminder = 0;
    if (object.latest != null && !object.latest.sent) {
      queue.addFirst(object.latest);
    }
    return true;
  }

  /** Listens to the stream, as long as it is the session's stream. */
  private final class StreamListener implements InteractStream.Listener {
    @Override
    public void started(Started started) {
      reopened = false;
      if (stream.lengths.misread(slide, started.getUnit(), started.hasPixelSize(), started.getPixelSize()) && options.hasLengths()) {
        stream.drop(); // before anything was asked on it: again, with lengths in the server's unit
        connect();
        return;
      }
      become(SessionState.READY, null);
      SessionInfo info =
          new SessionInfo(started.getModel(), started.getWeightsHash(), SlideWire.inMicrons(started.getUnit()));
      connection.threads().callback(() -> listener.onStarted(info));
      hint.sendNow();
      pump();
    }

    @Override
    public void outline(ObjectOutline message, String requestId) {
      backoff.reset();
      PendingPrompt pending = pendingPrompts.get(message.getRevision());
      if (pending != null && settle(pending)) {
        unanswered.decrementAndGet();
        PromptResult result =
            new PromptResult(
                pending.objectId,
                pending.revision,
                pending.request,
                SegmentationWire.outline(message.getOutline()),
                Duration.ofNanos(System.nanoTime() - pending.asked));
        objects.get(pending.objectId).answered = result;
        connection.threads().callback(() -> listener.onOutline(result));
      } else {
        endsReminder(message.getObjectId(), message.getRevision());
      }
      pump();
    }

    @Override
    public void error(ObjectError message, String requestId) {
      WsiSamException error = Errors.of(message.getError(), requestId);
      PendingPrompt pending = pendingPrompts.get(message.getRevision());
      if (message.getObjectId().isEmpty() && pending == null) {
        connection.threads().callback(() -> listener.onWarning(error));
      } else if (error.reason().equals("UNKNOWN_SLIDE_ID") && pending != null && !pending.sentAgain) {
        pending.sentAgain = true;
        forgotten(error);
      } else if (pending != null && Errors.notTaken(error) != null) {
        notTaken(pending, Errors.notTaken(error));
      } else if (pending != null && !error.reason().equals("SHUTTING_DOWN")) {
        fail(pending, error);
      } else if (pending == null) {
        endsReminder(message.getObjectId(), message.getRevision());
      } // else the stream is about to end, and the prompt goes to the next one
      pump();
    }

    private void notTaken(PendingPrompt pending, Duration pause) {
      if (objects.get(pending.objectId).latest == pending) {
        sendLater(pending, pause);
      } else {
        fail(pending, Errors.superseded());
      }
    }

    /** The server closed the slide under the stream, to make room for others. */
    private void forgotten(WsiSamException error) {
      InteractStream forgetful = stream;
      forgetful.drop();
      requeue();
      lost(error, () -> reopen(forgetful.slideId));
    }

    @Override
    public void progress(Progress message) {
      PendingPrompt pending = pendingPrompts.get(message.getRevision());
      if (pending != null && message.getStage() == io.wsisam.v1.Stage.STAGE_REFINING) {
        refining(pending, message.getWindowsDone(), message.getWindowsTotal());
        return;
      }
      Stage stage =
          switch (message.getStage()) {
            case STAGE_WAITING_FOR_PIXELS -> Stage.WAITING_FOR_PIXELS;
            case STAGE_ENCODING -> Stage.ENCODING;
            case STAGE_LOADING_MODEL -> Stage.LOADING_MODEL;
            default -> null; // of a newer server
          };
      if (stage == Stage.WAITING_FOR_PIXELS) {
        stream.retryPixels();
      }
      if (pending != null && stage != null) {
        if (stage == Stage.LOADING_MODEL) {
          expect(pending); // minutes, for a large one; the server is at work
        }
        pending.wantsPixels = stage == Stage.WAITING_FOR_PIXELS;
        connection.threads().callback(() -> listener.onProgress(pending.objectId, pending.revision, stage));
      }
    }

    private void refining(PendingPrompt pending, int done, int total) {
      expect(pending); // a border may need many windows: each shows that the server is at work
      connection.threads().callback(() -> listener.onRefining(pending.objectId, pending.revision, done, total));
    }

    @Override
    public void pixelsFailed(WsiSamException error) {
      connection.threads().callback(() -> listener.onWarning(error));
      List.copyOf(pendingPrompts.values()).stream()
          .filter(pending -> pending.wantsPixels)
          .forEach(
              pending -> {
                fail(pending, error);
                giveUp(pending);
              });
      pump();
    }

    @Override
    public void ended(InteractStream which, WsiSamException error) {
      requeue();
      boolean forgotten = error.reason().equals("UNKNOWN_SLIDE_ID");
      lost(error, forgotten ? () -> reopen(which.slideId) : Session.this::connect);
    }
  }
}
