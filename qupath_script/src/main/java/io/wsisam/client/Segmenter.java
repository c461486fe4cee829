package io.wsisam.client;

import io.wsisam.v1.PixelTile;
import io.wsisam.v1.SegmentRequest;
import io.wsisam.v1.SegmentationGrpc;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Single prompts: opens the slide again when the server has forgotten it, and sends pixels that are missing. */
final class Segmenter {
  /** A prompt reads two windows; a third round means that the server does not keep what it gets. */
  private static final int ROUNDS = 3;

  private final Connection connection;
  private final SlideOpener opener;
  private final PixelReader reader;

  Segmenter(Connection connection, SlideOpener opener, PixelReader reader) {
    this.connection = connection;
    this.opener = opener;
    this.reader = reader;
  }

  CompletableFuture<Answer> segment(Slide slide, Ask ask, SegmentOptions options) {
    long asked = System.nanoTime();
    return connection
        .patiently(left -> attempt(slide, ask, options, List.of(), left, ROUNDS))
        .thenApply(
            outline -> new Answer("", 0, ask, outline, Duration.ofNanos(System.nanoTime() - asked)));
  }

  private CompletableFuture<Outline> attempt(
      Slide slide, Ask ask, SegmentOptions options, List<PixelTile> tiles, Duration left, int rounds) {
    String id = slide.id();
    SegmentRequest request = Wire.request(id, ask, options).addAllTiles(tiles).build();
    return connection
        .call(SegmentationGrpc.getSegmentMethod(), request, left)
        .thenApply(response -> Wire.outline(response.getOutline()))
        .handle(
            (outline, failure) -> {
              if (failure == null) {
                return CompletableFuture.completedFuture(outline);
              }
              WsiSamException error = WsiSamException.of(failure);
              if (rounds == 0) {
                return CompletableFuture.<Outline>failedFuture(error);
              }
              return switch (error.reason()) {
                case "UNKNOWN_SLIDE_ID" ->
                    opener
                        .reopen(slide, id, left)
                        .thenCompose(fresh -> attempt(slide, ask, options, List.of(), left, rounds - 1));
                case "PIXELS_NEEDED" ->
                    more(slide, tiles, error.wanted())
                        .thenCompose(all -> attempt(slide, ask, options, all, left, rounds - 1));
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
