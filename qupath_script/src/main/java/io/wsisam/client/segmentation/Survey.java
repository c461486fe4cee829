package io.wsisam.client.segmentation;

import com.google.protobuf.ByteString;
import io.grpc.ClientCall;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.StreamObserver;
import io.wsisam.client.connection.Backoff;
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
import io.wsisam.v1.Proposal;
import io.wsisam.v1.SegmentEverythingRequest;
import io.wsisam.v1.SegmentEverythingResponse;
import io.wsisam.v1.SegmentationGrpc;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;

/**
 * All objects of some size in a region of one slide, or all that look like exemplars. When the connection is lost, it goes on after the last answer that came,
 * as soon as the server is back: no object is reported twice, and none is lost. It fails when the server was away for as long
 * as an answer may take ({@code ClientOptions.answerTimeout}).
 */
public final class Survey {
  /** Pixels of one call, unpacked; a server takes messages of 16 MiB. */
  private static final long TILE_BYTES = 8L * 1024 * 1024;

  private static final int RGB = 3;

  private final Connection connection;
  private final SlideOpener opener;
  private final PixelReader reader;
  private final Slide slide;
  private final SegmentEverythingRequest request;
  private final Wanted wanted;
  private final SegmentOptions options;
  private final Heard heard;
  private final CompletableFuture<SurveyResult> result = new CompletableFuture<>();

  // All below belongs to the work thread.
  private final Consumer<WsiSamException> ending = this::fail;
  private final Backoff backoff;
  private ClientCall<?, ?> call;
  private ByteString resumeToken = ByteString.EMPTY;
  /** Since when the server has sent nothing after a loss; null while all is well. */
  private Long lostSince;
  private boolean pixelsSent;
  private boolean over;
  private int proposed;
  private int done;
  private int total;

  /**
   * Begins it.
   *
   * @param request all but slide, options, pixels, and what is wanted
   */
  Survey(
      Connection connection,
      SlideOpener opener,
      PixelReader reader,
      Slide slide,
      SegmentEverythingRequest request,
      Wanted wanted,
      SegmentOptions options,
      Heard heard) {
    this.connection = connection;
    this.opener = opener;
    this.reader = reader;
    this.slide = slide;
    this.request = request;
    this.wanted = wanted;
    this.options = options;
    this.heard = heard;
    backoff = new Backoff(connection.options().firstRetry(), connection.options().longestRetry());
    if (!connection.threads().work(this::start)) {
      throw Errors.closed();
    }
  }

  /** Ends it; what was reported stays. */
  public void cancel() {
    connection.threads().work(() -> finish(true));
  }

  /** How it ended, also when it was cancelled. Completed after the last call to the listener. */
  public CompletableFuture<SurveyResult> result() {
    return result.copy();
  }

  private void start() {
    if (connection.ended() != null) {
      fail(connection.ended());
      return;
    }
    connection.onEnd(ending);
    send(List.of());
  }

  private void send(List<PixelTile> tiles) {
    String requestId = Connection.newRequestId();
    ClientCall<SegmentEverythingRequest, SegmentEverythingResponse> fresh =
        connection.stream(SegmentationGrpc.getSegmentEverythingMethod(), requestId);
    call = fresh;
    Lengths lengths = Lengths.of(slide);
    SegmentEverythingRequest whole =
        request.toBuilder()
            .setSlideId(slide.id())
            .setResumeToken(resumeToken)
            .setOptions(SegmentationWire.options(options, lengths))
            .addAllTiles(tiles)
            .mergeFrom(wanted.message(lengths))
            .build();
    Map<Slide, String> ids = new LinkedHashMap<>();
    ids.put(slide, slide.id());
    wanted.otherSlides().forEach(other -> ids.put(other, other.id()));
    ClientCalls.asyncServerStreamingCall(fresh, whole, new Answers(requestId, ids, lengths, tiles));
  }

  private void finish(boolean cancelled) {
    if (end()) {
      SurveyResult ended = new SurveyResult(proposed, done, total, cancelled);
      connection.threads().callback(() -> result.complete(ended));
    }
  }

  private void fail(WsiSamException error) {
    if (end()) {
      connection.threads().callback(() -> result.completeExceptionally(error));
    }
  }

  private boolean end() {
    if (over) {
      return false;
    }
    over = true;
    connection.forgetEnding(ending);
    if (call != null) {
      call.cancel("the survey is over", null);
    }
    return true;
  }

  /** Goes on after a while, or gives up when the server has sent nothing for as long as an answer may take. */
  private void again(WsiSamException error, Map<Slide, String> staleIds) {
    Duration pause = backoff.next();
    long now = System.nanoTime();
    lostSince = lostSince == null ? now : lostSince;
    if (now - lostSince + pause.toNanos() > connection.options().answerTimeout().toNanos()) {
      fail(error);
      return;
    }
    call = null;
    pixelsSent = false; // a server that was restarted has none of them
    boolean forgotten = error.reason().equals("UNKNOWN_SLIDE_ID");
    connection.pause(pause, () -> goOn(staleIds, forgotten));
  }

  private void goOn(Map<Slide, String> staleIds, boolean forgotten) {
    if (over) {
      return;
    }
    if (!forgotten) {
      send(List.of());
      return;
    }
    CompletableFuture<?>[] opened =
        staleIds.entrySet().stream()
            .map(stale -> opener.reopen(stale.getKey(), stale.getValue(), connection.options().callTimeout()))
            .toArray(CompletableFuture[]::new);
    CompletableFuture.allOf(opened)
        .whenComplete(
            (nothing, failure) -> {
              WsiSamException error = failure == null ? null : WsiSamException.of(failure);
              if (over) {
                return;
              }
              if (error == null) {
                send(List.of());
              } else if (Errors.isLost(error)) {
                again(error, staleIds);
              } else {
                fail(error);
              }
            });
  }

  /** Asks again with the pixels of all windows that are left, where one message holds them. */
  private void sendPixels(WsiSamException error) {
    List<PixelWindow> windows = SlideWire.windows(Errors.pixelsNeeded(error));
    long bytes = windows.stream().mapToLong(window -> (long) RGB * window.tileWidth() * window.tileHeight()).sum();
    if (pixelsSent || bytes > TILE_BYTES) {
      fail(Errors.surveyTooLarge(windows.size()));
      return;
    }
    pixelsSent = true;
    reader
        .readAll(slide.reference().pixels(), windows)
        .whenComplete(
            (tiles, failure) -> {
              if (over) {
                return;
              }
              if (failure == null) {
                send(tiles);
              } else {
                fail(WsiSamException.of(failure));
              }
            });
  }

  /** What is looked for. */
  interface Wanted {
    /** The part of the request that says it. */
    SegmentEverythingRequest message(Lengths lengths);

    /** Slides beside the searched one that the request names. */
    default List<Slide> otherSlides() {
      return List.of();
    }
  }

  /** Who hears of it; all but `answer` on the callback thread. */
  interface Heard {
    void proposal(PromptResult result, Proposal message);

    void progress(int done, int total);

    /** Each answer, before its proposals; on the work thread. */
    default void answer(SegmentEverythingResponse response, Lengths lengths) {}
  }

  /** The answers to the call. */
  private final class Answers implements StreamObserver<SegmentEverythingResponse> {
    private final long asked = System.nanoTime();
    private final String requestId;
    private final Map<Slide, String> slideIds;
    private final Lengths sent;
    private final List<PixelTile> tiles;
    private boolean misread;

    Answers(String requestId, Map<Slide, String> slideIds, Lengths sent, List<PixelTile> tiles) {
      this.requestId = requestId;
      this.slideIds = slideIds;
      this.sent = sent;
      this.tiles = tiles;
    }

    @Override
    public void onNext(SegmentEverythingResponse response) {
      if (over || misread) {
        return;
      }
      connection.answered();
      backoff.reset();
      lostSince = null;
      if (sent.misread(slide, response.getUnit(), response.hasPixelSize(), response.getPixelSize())) {
        misread = true; // the first answer comes before any window is read: again, with sizes in the server's unit
        call.cancel("asked again in another unit", null);
        send(tiles);
        return;
      }
      heard.answer(response, sent);
      for (Proposal proposal : response.getProposalsList()) {
        proposed++;
        Duration waited = Duration.ofNanos(System.nanoTime() - asked);
        PromptResult answer =
            new PromptResult(
                UUID.randomUUID().toString(),
                0,
                PromptRequest.of(SegmentationWire.prompt(proposal.getPrompt())),
                SegmentationWire.outline(proposal.getOutline()),
                waited);
        connection.threads().callback(() -> heard.proposal(answer, proposal));
      }
      resumeToken = response.getResumeToken();
      int now = response.getWindowsDone();
      int all = response.getWindowsTotal();
      done = now;
      total = all;
      connection.threads().callback(() -> heard.progress(now, all));
    }

    @Override
    public void onError(Throwable failure) {
      if (over || misread) {
        return;
      }
      WsiSamException error = connection.errors().of(failure, requestId);
      if (error.reason().equals("PIXELS_NEEDED")) {
        sendPixels(error);
      } else if (Errors.isLost(error) || error.reason().equals("UNKNOWN_SLIDE_ID")) {
        again(error, slideIds);
      } else {
        fail(error);
      }
    }

    @Override
    public void onCompleted() {
      if (!misread) {
        finish(false);
      }
    }
  }
}
