package io.wsisam.client.segmentation;

import io.wsisam.client.connection.Connection;
import io.wsisam.client.slides.PixelReader;
import io.wsisam.client.slides.Slide;
import io.wsisam.client.slides.SlideOpener;
import io.wsisam.v1.SegmentEverythingRequest;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;

/** All that asks a server for outlines. Scripts reach it by {@code WsiSamClient}, which says what each call does. */
public final class Segmentation {
  private final Connection connection;
  private final SlideOpener opener;
  private final PixelReader reader;
  private final Segmenter segmenter;

  public Segmentation(Connection connection, SlideOpener opener) {
    this.connection = connection;
    this.opener = opener;
    reader = new PixelReader(connection.threads(), !connection.options().address().isLoopback());
    segmenter = new Segmenter(connection, opener, reader);
  }

  /** One prompt. */
  public CompletableFuture<PromptResult> segment(Slide slide, PromptRequest request, SegmentOptions options) {
    Objects.requireNonNull(slide);
    Objects.requireNonNull(request);
    Objects.requireNonNull(options);
    return connection.publish(() -> segmenter.segment(slide, request, options));
  }

  /** The revisions of one object, one after another. */
  public CompletableFuture<PromptResult> replay(Slide slide, List<PromptRequest> revisions, SegmentOptions options) {
    Replay replay = new Replay(revisions);
    return replay.run(interact(slide, options, replay));
  }

  /** Many prompts. */
  public Batch batch(Slide slide, List<BatchItem> items, SegmentOptions options, BatchListener listener) {
    return new Batch(
        connection,
        opener,
        reader,
        Objects.requireNonNull(slide),
        items,
        Objects.requireNonNull(options),
        Objects.requireNonNull(listener));
  }

  /** All objects of some size in a region. */
  public Survey survey(
      Slide slide,
      List<PolygonPart> region,
      List<List<PolygonPart>> existing,
      ProposalFilter filter,
      SegmentOptions options,
      SurveyListener listener) {
    SegmentEverythingRequest.Builder request =
        SegmentEverythingRequest.newBuilder()
            .setModel(options.model())
            .setRegion(SegmentationWire.areas(region));
    slide.reference().mpp().ifPresent(request::setMpp);
    existing.forEach(one -> request.addExisting(SegmentationWire.areas(one)));
    return new Survey(connection, opener, reader, slide, request.build(), filter, options, Objects.requireNonNull(listener));
  }

  /** A session. */
  public Session interact(Slide slide, SegmentOptions options, SessionListener listener) {
    return new Session(connection, opener, reader, slide, options, listener);
  }
}
