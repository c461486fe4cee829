package io.wsisam.client.slides;

import io.wsisam.client.connection.ClientReason;
import io.wsisam.client.connection.Connection;
import io.wsisam.client.connection.Errors;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.v1.CloseSlideRequest;
import io.wsisam.v1.OpenSlideRequest;
import io.wsisam.v1.OpenSlideResponse;
import io.wsisam.v1.SegmentationGrpc;
import io.wsisam.v1.SlideSource;
import java.time.Duration;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.concurrent.CompletableFuture;

/** Opens slides by one of their names, or by their pixels; on the work thread. */
public final class SlideOpener {
  private static final Set<String> NEXT_NAME =
      Set.of("SLIDE_NOT_FOUND", "SLIDE_UNREADABLE", "SLIDE_TOO_LARGE", ClientReason.SLIDE_DIFFERS);

  private final Connection connection;
  private final Map<Slide, CompletableFuture<String>> reopening = new IdentityHashMap<>();

  public SlideOpener(Connection connection) {
    this.connection = connection;
  }

  public CompletableFuture<Slide> open(SlideReference reference) {
    return connection
        .withRetries(left -> openFrom(reference, 0, null, left))
        .thenApply(opened -> new Slide(reference, opened));
  }

  /**
   * Opens a slide again whose id the server does not know any more; one attempt.
   *
   * @param staleId the id that it did not know; nothing is done when another call has seen to it already
   * @return the new id
   */
  public CompletableFuture<String> reopen(Slide slide, String staleId, Duration timeout) {
    if (slide.isClosed()) {
      return CompletableFuture.failedFuture(Errors.slideClosed());
    }
    if (!slide.id().equals(staleId)) {
      return CompletableFuture.completedFuture(slide.id());
    }
    CompletableFuture<String> running = reopening.get(slide);
    if (running != null) {
      return running;
    }
    CompletableFuture<String> fresh =
        openFrom(slide.reference(), 0, null, timeout)
            .thenApply(
                opened -> {
                  slide.reopened(opened);
                  return opened.id();
                });
    if (!fresh.isDone()) {
      reopening.put(slide, fresh);
      fresh.whenComplete((id, failure) -> reopening.remove(slide));
    }
    return fresh;
  }

  /**
   * Has the server free what it holds of a slide by pixels; one attempt. Of a file, which all share, it holds nothing.
   *
   * @return completed when the server has; failed where it was not reached
   */
  public CompletableFuture<Void> close(Slide slide, Duration timeout) {
    slide.close();
    if (!slide.byPixels()) {
      return CompletableFuture.completedFuture(null);
    }
    CloseSlideRequest request = CloseSlideRequest.newBuilder().setSlideId(slide.id()).build();
    return connection.call(SegmentationGrpc.getCloseSlideMethod(), request, timeout).thenApply(closed -> null);
  }

  /** Tries the names in their order; the pixels are offered with the last one only, so that the file is preferred. */
  private CompletableFuture<Slide.Opened> openFrom(
      SlideReference reference, int index, WsiSamException earlier, Duration timeout) {
    boolean last = index == reference.uris().size() - 1;
    OpenSlideRequest.Builder request = OpenSlideRequest.newBuilder().setUri(reference.uris().get(index));
    if (last && reference.pixels() != null) {
      request.setPixels(SlideWire.source(reference));
    }
    return connection
        .call(SegmentationGrpc.getOpenSlideMethod(), request.build(), timeout)
        .thenApply(response -> checked(reference, request.getUri(), response))
        .handle(
            (opened, failure) -> {
              if (failure == null) {
                return CompletableFuture.completedFuture(opened);
              }
              WsiSamException error = WsiSamException.of(failure);
              // A file that is there and wrong tells more than one that is missing.
              boolean tellsMore = earlier == null || earlier.reason().equals("SLIDE_NOT_FOUND");
              WsiSamException best = tellsMore ? error : earlier;
              return last || !NEXT_NAME.contains(error.reason())
                  ? CompletableFuture.<Slide.Opened>failedFuture(last && NEXT_NAME.contains(error.reason()) ? best : error)
                  : openFrom(reference, index + 1, best, timeout);
            })
        .thenCompose(next -> next);
  }

  private static Slide.Opened checked(SlideReference reference, String uri, OpenSlideResponse response) {
    if (response.getWidth() != reference.width() || response.getHeight() != reference.height()) {
      throw Errors.slideDiffers(
          response.getWidth() + " x " + response.getHeight(), reference.width() + " x " + reference.height());
    }
    return new Slide.Opened(
        response.getSlideId(),
        response.getWidth(),
        response.getHeight(),
        response.hasMpp() ? OptionalDouble.of(response.getMpp()) : OptionalDouble.empty(),
        response.getSource() == SlideSource.SLIDE_SOURCE_PIXELS,
        uri);
  }
}
