package io.wsisam.client.segmentation;

import io.wsisam.client.connection.Connection;
import io.wsisam.client.slides.Lengths;
import io.wsisam.client.slides.PixelReader;
import io.wsisam.client.slides.Slide;
import io.wsisam.client.slides.SlideOpener;
import io.wsisam.v1.Proposal;
import io.wsisam.v1.SegmentEverythingRequest;
import io.wsisam.v1.SegmentEverythingResponse;
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
    Objects.requireNonNull(filter);
    Objects.requireNonNull(listener);
    Survey.Wanted wanted =
        lengths -> SegmentEverythingRequest.newBuilder().setFilter(SegmentationWire.filter(filter, lengths)).build();
    Survey.Heard heard =
        new Survey.Heard() {
          @Override
          public void proposal(PromptResult result, Proposal message) {
            listener.onProposal(result);
          }

          @Override
          public void progress(int done, int total) {
            listener.onProgress(done, total);
          }
        };
    return new Survey(connection, opener, reader, slide, region(slide, region, existing, options), wanted, options, heard);
  }

  /** All that looks like exemplars in a region. */
  public Survey findLike(
      Slide slide,
      List<PolygonPart> region,
      List<List<PolygonPart>> existing,
      List<Exemplar> exemplars,
      Double minSimilarity,
      SegmentOptions options,
      LikeListener listener) {
    return new Survey(
        connection,
        opener,
        reader,
        slide,
        region(slide, region, existing, options),
        new ByExemplars(slide, exemplars, minSimilarity),
        options,
        new HeardLike(connection, Objects.requireNonNull(listener)));
  }

  private static SegmentEverythingRequest region(
      Slide slide, List<PolygonPart> region, List<List<PolygonPart>> existing, SegmentOptions options) {
    SegmentEverythingRequest.Builder request =
        SegmentEverythingRequest.newBuilder()
            .setModel(options.model())
            .setRegion(SegmentationWire.areas(region));
    slide.reference().mpp().ifPresent(request::setMpp);
    existing.forEach(one -> request.addExisting(SegmentationWire.areas(one)));
    return request.build();
  }

  /** What is looked for by exemplars. */
  private record ByExemplars(Slide slide, List<Exemplar> exemplars, Double minSimilarity) implements Survey.Wanted {
    ByExemplars {
      exemplars = List.copyOf(exemplars);
      if (exemplars.isEmpty()) {
        throw new IllegalArgumentException("a search by exemplars needs at least one");
      }
    }

    @Override
    public SegmentEverythingRequest message(Lengths lengths) {
      SegmentEverythingRequest.Builder message = SegmentEverythingRequest.newBuilder();
      exemplars.forEach(one -> message.addExemplars(SegmentationWire.exemplar(one, slide)));
      if (minSimilarity != null) {
        message.setMinSimilarity(minSimilarity);
      }
      return message.build();
    }

    @Override
    public List<Slide> otherSlides() {
      return exemplars.stream().map(Exemplar::slide).filter(one -> one != null && one != slide).distinct().toList();
    }
  }

  /** Tells a listener of similarity and likeness, too. */
  private record HeardLike(Connection connection, LikeListener listener) implements Survey.Heard {
    @Override
    public void proposal(PromptResult result, Proposal message) {
      listener.onProposal(
          new LikeProposal(result, message.getSimilarity(), message.getPathClass().getName()));
    }

    @Override
    public void progress(int done, int total) {
      listener.onProgress(done, total);
    }

    @Override
    public void answer(SegmentEverythingResponse response, Lengths lengths) {
      if (response.hasLikeness()) {
        Likeness likeness = SegmentationWire.likeness(response.getLikeness(), lengths);
        connection.threads().callback(() -> listener.onLikeness(likeness));
      }
    }
  }

  /** A session. */
  public Session interact(Slide slide, SegmentOptions options, SessionListener listener) {
    return new Session(connection, opener, reader, slide, options, listener);
  }
}
