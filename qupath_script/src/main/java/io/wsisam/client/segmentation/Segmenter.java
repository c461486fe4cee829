package io.wsisam.client.segmentation;

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
import io.wsisam.v1.SegmentRequest;
import io.wsisam.v1.SegmentResponse;
import io.wsisam.v1.SegmentationGrpc;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Single prompts: opens the slide again when the server has forgotten it, and sends pixels that are missing. */
final class Segmenter {
  /** A prompt reads two windows, and its lengths may have to be sent in another unit; more rounds mean that nothing is kept. */
  private static final int ROUNDS = 3;

  private final Connection connection;
  private final SlideOpener opener;
  private final PixelReader reader;

  Segmenter(Connection connection, SlideOpener opener, PixelReader reader) {
    this.connection = connection;
    this.opener = opener;
    this.reader = reader;
  }

  CompletableFuture<PromptResult> segment(Slide slide, PromptRequest request, SegmentOptions options) {
    long asked = System.nanoTime();
    return connection
        .withRetries(left -> attempt(slide, request, options, List.of(), left, ROUNDS))
        .thenApply(
            outline -> new PromptResult("", 0, request, outline, Duration.ofNanos(System.nanoTime() - asked)));
  }

  private CompletableFuture<Outline> attempt(
      Slide slide, PromptRequest request, SegmentOptions options, List<PixelTile> tiles, Duration left, int rounds) {
    String id = slide.id();
    Lengths sent = Lengths.of(slide);
    SegmentRequest message = SegmentationWire.request(slide, request, options).addAllTiles(tiles).build();
    return connection
        .call(SegmentationGrpc.getSegmentMethod(), message, left)
        .thenApply(SegmentResponse::getOutline)
        .handle(
            (outline, failure) -> {
              if (failure == null) {
                boolean misread = sent.misread(slide, outline.getUnit(), outline.hasPixelSize(), outline.getPixelSize()) && options.hasLengths();
                return misread && rounds > 0
                    ? attempt(slide, request, options, tiles, left, rounds - 1)
                    : CompletableFuture.completedFuture(SegmentationWire.outline(outline));
              }
              WsiSamException error = WsiSamException.of(failure);
              if (rounds == 0) {
                return CompletableFuture.<Outline>failedFuture(error);
              }
              return switch (error.reason()) {
                case "UNKNOWN_SLIDE_ID" ->
                    opener
                        .reopen(slide, id, left)
                        .thenCompose(fresh -> attempt(slide, request, options, List.of(), left, rounds - 1));
                case "PIXELS_NEEDED" ->
                    more(slide, tiles, SlideWire.windows(Errors.pixelsNeeded(error)))
                        .thenCompose(all -> attempt(slide, request, options, all, left, rounds - 1));
                default -> CompletableFuture.<Outline>failedFuture(error);
              };
            })
        .thenCompose(next -> next);
  }

  private CompletableFuture<List<PixelTile>> more(Slide slide, List<PixelTile> tiles, List<PixelWindow> wanted) {
    return reader
        .readAll(slide.reference().pixels(), wanted)
        .thenApply(
            fresh -> {
              List<PixelTile> all = new ArrayList<>(tiles);
              all.addAll(fresh);
              return all;
            });
  }
}
