package io.wsisam.client.segmentation;

import io.grpc.ClientCall;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.StreamObserver;
import io.wsisam.client.connection.Backoff;
import io.wsisam.client.connection.ClientReason;
import io.wsisam.client.connection.Connection;
import io.wsisam.client.connection.Errors;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.slides.Lengths;
import io.wsisam.client.slides.PixelReader;
import io.wsisam.client.slides.PixelWindow;
import io.wsisam.client.slides.Slide;
import io.wsisam.client.slides.SlideOpener;
import io.wsisam.client.slides.SlideWire;
import io.wsisam.v1.PixelTile;
import io.wsisam.v1.SegmentBatchRequest;
import io.wsisam.v1.SegmentBatchResponse;
import io.wsisam.v1.SegmentationGrpc;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ScheduledFuture;
import java.util.function.Consumer;

/**
 * Many prompts on one slide, in parts, so that little is lost with a connection: what is unanswered then is asked again.
 * Every item is reported exactly once.
 */
public final class Batch {
  /** Items of one call. */
  private static final int PART = 256;

  /** Pixels of one call, unpacked; a server takes messages of 16 MiB. */
  private static final long TILE_BYTES = 8L * 1024 * 1024;

  private static final int RGB = 3;

  /** Times that an item may ask for pixels: its two windows once, and once more if the server had to drop them. */
  private static final int PIXEL_ROUNDS = 3;

  private final Connection connection;
  private final SlideOpener opener;
  private final PixelReader reader;
  private final Slide slide;
  private final SegmentOptions options;
  private final BatchListener listener;
  private final CompletableFuture<BatchResult> result = new CompletableFuture<>();
  private final int total;
  private volatile int done;

  // All below belongs to the work thread.
  private final Map<String, BatchItem> unanswered = new LinkedHashMap<>();
  private final Deque<BatchItem> waiting = new ArrayDeque<>();
  private final Map<String, List<PixelWindow>> pixelsWanted = new LinkedHashMap<>();
  private final Map<String, Integer> pixelRounds = new HashMap<>();
  private final Consumer<WsiSamException> ending = this::finish;
  private final Backoff backoff;
  private ClientCall<?, ?> call;
  private ScheduledFuture<?> watchdog;
  private WsiSamException trouble;
  private int outlined;
  private boolean over;

  Batch(
      Connection connection,
      SlideOpener opener,
      PixelReader reader,
      Slide slide,
      List<BatchItem> items,
      SegmentOptions options,
      BatchListener listener) {
    this.connection = connection;
    this.opener = opener;
    this.reader = reader;
    this.slide = slide;
    this.options = options;
    this.listener = listener;
    total = items.size();
    backoff = new Backoff(connection.options().firstRetry(), connection.options().longestRetry());
    for (BatchItem item : items) {
      if (unanswered.put(item.id(), item) != null) {
        throw new IllegalArgumentException("the batch has two items with the id " + item.id());
      }
    }
    waiting.addAll(items);
    if (!connection.threads().work(this::start)) {
      throw Errors.closed();
    }
  }

  /** Ends it: what is unanswered fails with BATCH_CANCELLED. */
  public void cancel() {
    connection.threads().work(() -> finish(Errors.batchCancelled()));
  }

  /** How it ended; never fails. Completed after the last call to the listener. */
  public CompletableFuture<BatchResult> result() {
    return result.copy();
  }

  /** Items that were reported. */
  public int done() {
    return done;
  }

  /** All items. */
  public int total() {
    return total;
  }

  private void start() {
    if (connection.ended() != null) {
      finish(connection.ended());
      return;
    }
    connection.onEnd(ending);
    watch();
    next();
  }

  /** Fails what is left when nothing was answered for too long. */
  private void watch() {
    if (watchdog != null) {
      watchdog.cancel(false);
    }
    watchdog =
        connection.threads().later(
            connection.options().answerTimeout(),
            () -> finish(trouble != null ? trouble : connection.errors().noAnswer("")));
  }

  private void next() {
    if (over) {
      return;
    }
    if (!pixelsWanted.isEmpty()) {
      sendPixels();
    } else if (!waiting.isEmpty()) {
      List<BatchItem> part = new ArrayList<>();
      while (part.size() < PART && !waiting.isEmpty()) {
        part.add(waiting.poll());
      }
      send(part, List.of());
    } else {
      finish(Errors.unexpected("a batch without items"));
    }
  }

  /** Asks again, with pixels, for as many of the items that need them as one message holds. */
  private void sendPixels() {
    List<BatchItem> part = new ArrayList<>();
    Set<PixelWindow> windows = new LinkedHashSet<>();
    for (Map.Entry<String, List<PixelWindow>> entry : pixelsWanted.entrySet()) {
      Set<PixelWindow> more = new LinkedHashSet<>(windows);
      more.addAll(entry.getValue());
      if (!part.isEmpty() && bytes(more) > TILE_BYTES) {
        break;
      }
      windows = more;
      part.add(unanswered.get(entry.getKey()));
    }
    part.forEach(item -> pixelsWanted.remove(item.id()));
    reader
        .readAll(slide.reference().pixels(), List.copyOf(windows))
        .whenComplete(
            (tiles, failure) -> {
              if (over) {
                return;
              }
              if (failure == null) {
                send(part, tiles);
              } else {
                part.forEach(item -> fail(item, WsiSamException.of(failure)));
                goOn();
              }
            });
  }

  private static long bytes(Set<PixelWindow> windows) {
    return windows.stream().mapToLong(window -> (long) RGB * window.tileWidth() * window.tileHeight()).sum();
  }

  private void send(List<BatchItem> part, List<PixelTile> tiles) {
    SegmentBatchRequest.Builder request =
        SegmentBatchRequest.newBuilder()
            .setSlideId(slide.id())
            .setModel(options.model())
            .setOptions(SegmentationWire.options(options, Lengths.of(slide)))
            .addAllTiles(tiles);
    slide.reference().mpp().ifPresent(request::setMpp);
    part.forEach(item -> request.addItems(SegmentationWire.item(item)));
    String requestId = Connection.newRequestId();
    ClientCall<SegmentBatchRequest, SegmentBatchResponse> fresh =
        connection.stream(SegmentationGrpc.getSegmentBatchMethod(), requestId);
    call = fresh;
    ClientCalls.asyncServerStreamingCall(fresh, request.build(), new Part(part, slide.id(), requestId));
  }

  /** After a part: the next one, or the end. */
  private void goOn() {
    call = null;
    if (!over) {
      if (unanswered.isEmpty()) {
        finish(null);
      } else {
        next();
      }
    }
  }

  private void fail(BatchItem item, WsiSamException error) {
    if (unanswered.remove(item.id()) != null) {
      Failure failure = new Failure(item.id(), 0, item.request(), error);
      connection.threads().callback(() -> listener.onFailed(failure));
      progress();
    }
  }

  private void progress() {
    int now = total - unanswered.size();
    done = now;
    connection.threads().callback(() -> listener.onProgress(now, total));
  }

  private void finish(WsiSamException why) {
    if (over) {
      return;
    }
    over = true;
    connection.forgetEnding(ending);
    if (watchdog != null) {
      watchdog.cancel(false);
    }
    if (call != null) {
      call.cancel("the batch is over", null);
    }
    List.copyOf(unanswered.values()).forEach(item -> fail(item, why));
    boolean cancelled = why != null && why.reason().equals(ClientReason.BATCH_CANCELLED);
    BatchResult ended = new BatchResult(outlined, total - outlined, cancelled);
    connection.threads().callback(() -> listener.onEnd(ended));
    connection.threads().callback(() -> result.complete(ended));
  }

  /** The answers to one call. */
  private final class Part implements StreamObserver<SegmentBatchResponse> {
    private final long asked = System.nanoTime();
    private final List<BatchItem> items;
    private final String slideId;
    private final String requestId;
    private final Lengths sent = Lengths.of(slide);
    private boolean slideForgotten;
    private boolean misread;

    Part(List<BatchItem> items, String slideId, String requestId) {
      this.items = items;
      this.slideId = slideId;
      this.requestId = requestId;
    }

    @Override
    public void onNext(SegmentBatchResponse response) {
      BatchItem item = unanswered.get(response.getId());
      if (over || item == null) {
        return;
      }
      connection.answered();
      backoff.reset();
      trouble = null;
      watch();
      if (response.hasOutline() && isMisread(response.getOutline())) {
        misread = true; // asked again when the part has ended, its lengths in the server's unit
      } else if (response.hasOutline()) {
        unanswered.remove(item.id());
        outlined++;
        PromptResult answer =
            new PromptResult(
                item.id(),
                0,
                item.request(),
                SegmentationWire.outline(response.getOutline()),
                Duration.ofNanos(System.nanoTime() - asked));
        connection.threads().callback(() -> listener.onOutline(answer));
        progress();
      } else {
        failed(item, Errors.of(response.getError(), requestId));
      }
    }

    private boolean isMisread(io.wsisam.v1.Outline outline) {
      return sent.misread(slide, outline.getUnit(), outline.hasPixelSize(), outline.getPixelSize()) && options.hasLengths();
    }

    private void failed(BatchItem item, WsiSamException error) {
      if (error.reason().equals("PIXELS_NEEDED") && pixelRounds.merge(item.id(), 1, Integer::sum) <= PIXEL_ROUNDS) {
        pixelsWanted.put(item.id(), SlideWire.windows(Errors.pixelsNeeded(error)));
      } else if (error.reason().equals("UNKNOWN_SLIDE_ID") || error.reason().equals("SHUTTING_DOWN")) {
        slideForgotten |= error.reason().equals("UNKNOWN_SLIDE_ID"); // asked again when the part has ended
      } else {
        fail(item, error);
      }
    }

    @Override
    public void onError(Throwable failure) {
      if (over) {
        return;
      }
      trouble = connection.errors().of(failure, requestId);
      boolean forgotten = trouble.reason().equals("UNKNOWN_SLIDE_ID");
      if (forgotten || Errors.isTransient(trouble)) {
        again(forgotten);
      } else {
        finish(trouble);
      }
    }

    @Override
    public void onCompleted() {
      boolean left = items.stream().anyMatch(this::isLeft);
      if (left && misread && !over) {
        putBack();
        next();
      } else if (left && !over) {
        again(slideForgotten);
      } else {
        goOn();
      }
    }

    private boolean isLeft(BatchItem item) {
      return unanswered.containsKey(item.id()) && !pixelsWanted.containsKey(item.id());
    }

    /** Puts back what this call left unanswered, and goes on after a while. */
    private void again(boolean reopen) {
      putBack();
      connection.pause(backoff.next(), reopen ? this::reopen : Batch.this::next);
    }

    private void putBack() {
      call = null;
      for (int i = items.size() - 1; i >= 0; i--) {
        if (isLeft(items.get(i))) {
          waiting.addFirst(items.get(i));
        }
      }
    }

    private void reopen() {
      if (over) {
        return;
      }
      opener
          .reopen(slide, slideId, connection.options().callTimeout())
          .whenComplete(
              (id, failure) -> {
                if (failure == null) {
                  next();
                } else {
                  trouble = WsiSamException.of(failure);
                  if (Errors.isTransient(trouble)) {
                    connection.pause(backoff.next(), this::reopen);
                  } else {
                    finish(trouble);
                  }
                }
              });
    }
  }
}
