package io.wsisam.client;

import io.grpc.MethodDescriptor;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.wsisam.client.annotations.AnnotationShape;
import io.wsisam.client.annotations.Annotations;
import io.wsisam.client.annotations.ImageSync;
import io.wsisam.client.connection.ClientOptions;
import io.wsisam.client.connection.ClientReason;
import io.wsisam.client.connection.ClientVersion;
import io.wsisam.client.connection.Connection;
import io.wsisam.client.connection.Errors;
import io.wsisam.client.connection.ServerAddress;
import io.wsisam.client.connection.Threads;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.segmentation.Batch;
import io.wsisam.client.segmentation.BatchItem;
import io.wsisam.client.segmentation.BatchListener;
import io.wsisam.client.segmentation.Exemplar;
import io.wsisam.client.segmentation.LikeListener;
import io.wsisam.client.segmentation.PolygonPart;
import io.wsisam.client.segmentation.PromptRequest;
import io.wsisam.client.segmentation.PromptResult;
import io.wsisam.client.segmentation.ProposalFilter;
import io.wsisam.client.segmentation.SegmentOptions;
import io.wsisam.client.segmentation.Segmentation;
import io.wsisam.client.segmentation.Session;
import io.wsisam.client.segmentation.SessionListener;
import io.wsisam.client.segmentation.Survey;
import io.wsisam.client.segmentation.SurveyListener;
import io.wsisam.client.slides.Slide;
import io.wsisam.client.slides.SlideOpener;
import io.wsisam.client.slides.SlideReference;
import io.wsisam.v1.ListModelsRequest;
import io.wsisam.v1.ListModelsResponse;
import io.wsisam.v1.SegmentationGrpc;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A connection to one wsisam server. Safe to use from any thread; nothing but {@link #await} and {@link #awaitClosed}
 * blocks. Futures are completed, and listeners called, on one thread of this client, in order.
 */
public final class WsiSamClient implements AutoCloseable {
  private static final Duration QUICK = Duration.ofSeconds(10);
  private static final Duration PATIENCE = Duration.ofSeconds(2);

  private final Connection connection;
  private final SlideOpener opener;
  private final Segmentation segmentation;
  private final Annotations annotations;
  private final ImageSync imageSync;
  private final AtomicBoolean closing = new AtomicBoolean();
  private final CountDownLatch closed = new CountDownLatch(1);

  private WsiSamClient(ClientOptions options) {
    connection = new Connection(options);
    opener = new SlideOpener(connection);
    segmentation = new Segmentation(connection, opener);
    annotations = new Annotations(connection);
    imageSync = new ImageSync(connection);
  }

  /**
   * A client of the server at an address. Nothing is sent before the first call.
   *
   * @param address "host:port"; see {@link ServerAddress#parse}
   * @throws WsiSamException BAD_ADDRESS
   */
  public static WsiSamClient connect(String address) {
    return connect(ClientOptions.to(address));
  }

  /**
   * A client with other options. Nothing is sent before the first call.
   *
   * @throws WsiSamException TOKEN_NEEDS_TLS, TOKEN_INVALID, BAD_CERTIFICATES
   */
  public static WsiSamClient connect(ClientOptions options) {
    return new WsiSamClient(options);
  }

  /** The server's health and models; a quick look, which is not repeated when it fails. */
  public CompletableFuture<ServerInfo> info() {
    return connection.publish(
        () ->
            askHealth()
                .thenCompose(
                    health ->
                        (health == Health.NOT_SERVING
                                ? CompletableFuture.completedFuture(ListModelsResponse.getDefaultInstance())
                                : askModels())
                            .thenApply(
                                known ->
                                    new ServerInfo(
                                        address(), health, known.getServerVersion(), models(known)))));
  }

  /** The models that the server knows, the default first. */
  public CompletableFuture<List<ModelInfo>> models() {
    return connection.publish(() -> askModels().thenApply(WsiSamClient::models));
  }

  /** Whether the server answers prompts at the moment. */
  public CompletableFuture<Health> health() {
    return connection.publish(this::askHealth);
  }

  /** Opens an image; a server that was reached before is waited for, up to the call timeout. */
  public CompletableFuture<Slide> openSlide(SlideReference reference) {
    Objects.requireNonNull(reference);
    return connection.publish(() -> opener.open(reference));
  }

  /**
   * Says that an image is not needed any more: of one by pixels, the server frees what was sent. May be called again.
   * What was begun on it ends, and nothing new can be asked about this slide.
   *
   * @return completed when the server has; fails where it is not reached, which then frees it in its own time
   */
  public CompletableFuture<Void> closeSlide(Slide slide) {
    Objects.requireNonNull(slide);
    Duration longest = connection.options().callTimeout();
    return connection.publish(() -> opener.close(slide, longest.compareTo(QUICK) < 0 ? longest : QUICK));
  }

  /** One prompt, one outline; a server that was reached before is waited for, up to the call timeout. */
  public CompletableFuture<PromptResult> segment(Slide slide, PromptRequest request, SegmentOptions options) {
    return segmentation.segment(slide, request, options);
  }

  /**
   * The revisions of one object, each asked after the answer to the one before, as when they were drawn: the server
   * feeds answers back to the model, so that a box and then a click are not the same as both at once.
   *
   * @param revisions the object's whole prompts in the order in which they grew; at least one
   * @return the answer to the last; fails as soon as one of them does. Cancelled, it stops the work
   */
  public CompletableFuture<PromptResult> replay(Slide slide, List<PromptRequest> revisions, SegmentOptions options) {
    return segmentation.replay(slide, revisions, options);
  }

  /**
   * Many prompts on one slide.
   *
   * @throws IllegalArgumentException two items have the same id
   * @throws WsiSamException CLIENT_CLOSED
   */
  public Batch segmentBatch(Slide slide, List<BatchItem> items, SegmentOptions options, BatchListener listener) {
    return segmentation.batch(slide, items, options, listener);
  }

  /**
   * All objects of some size in a region, as the server finds them.
   *
   * @param region where to look; areas
   * @param existing objects that are there already, areas each: none is proposed in their place
   * @throws IllegalArgumentException a shape is not made of areas
   * @throws WsiSamException CLIENT_CLOSED
   */
  public Survey survey(
      Slide slide,
      AnnotationShape region,
      List<AnnotationShape> existing,
      ProposalFilter filter,
      SegmentOptions options,
      SurveyListener listener) {
    return segmentation.survey(
        slide, areas(region), existing.stream().map(WsiSamClient::areas).toList(), filter, options, listener);
  }

  /**
   * All that looks like exemplars in a region, as the server finds it. Ask again with what was accepted and, as negative
   * exemplars, rejected: the same region takes no encoder run then.
   *
   * @param region where to look; areas
   * @param existing objects that are there already, areas each: none is proposed in their place. Exemplars need not be among them
   * @param exemplars at least one positive one; at most 200
   * @param minSimilarity how sure a proposal must be at least, 0 to 1; null for the server's choice
   * @throws IllegalArgumentException a shape is not made of areas; no exemplars
   * @throws WsiSamException CLIENT_CLOSED
   */
  public Survey findLike(
      Slide slide,
      AnnotationShape region,
      List<AnnotationShape> existing,
      List<Exemplar> exemplars,
      Double minSimilarity,
      SegmentOptions options,
      LikeListener listener) {
    List<List<PolygonPart>> there = existing.stream().map(WsiSamClient::areas).toList();
    return segmentation.findLike(slide, areas(region), there, exemplars, minSimilarity, options, listener);
  }

  private static List<PolygonPart> areas(AnnotationShape shape) {
    if (shape.kind() != AnnotationShape.Kind.AREAS) {
      throw new IllegalArgumentException("a survey takes areas, not " + shape.kind());
    }
    return shape.parts();
  }

  /**
   * A session of one annotator on one image.
   *
   * @throws WsiSamException CLIENT_CLOSED
   */
  public Session interact(Slide slide, SegmentOptions options, SessionListener listener) {
    return segmentation.interact(slide, options, listener);
  }

  /** The annotations that the server keeps. */
  public Annotations annotations() {
    return annotations;
  }

  /** Sync of whole images with them. */
  public ImageSync imageSync() {
    return imageSync;
  }

  /** Ends all waiting for the next attempt to connect: for a button, or a computer that woke up. */
  public void retryNow() {
    connection.retryNow();
  }

  /** Where the server is, for people. */
  public String address() {
    return connection.options().address().toString();
  }

  /** Whether {@link #close} was called. */
  public boolean isClosed() {
    return closing.get();
  }

  /** Ends all that is under way: every prompt fails once, with CLIENT_CLOSED. Returns at once; may be called again. */
  @Override
  public void close() {
    if (closing.compareAndSet(false, true)) {
      connection.threads().work(() -> connection.end(Errors.closed()));
      Thread thread = new Thread(this::dispose, "wsisam-close");
      thread.setDaemon(true);
      thread.start();
    }
  }

  /**
   * Waits until the last listener was called and every thread has ended.
   *
   * @return false when that took longer than the timeout
   * @throws IllegalStateException called by a listener: it would wait for itself
   */
  public boolean awaitClosed(Duration timeout) throws InterruptedException {
    notOwnThread();
    return closed.await(timeout.toNanos(), TimeUnit.NANOSECONDS);
  }

  /**
   * Waits for a future of this client: for scripts without a window.
   *
   * @throws WsiSamException what the future failed with; CLIENT_CLOSED when the waiting thread was interrupted
   * @throws IllegalStateException called by a listener: it would wait for itself
   */
  public static <T> T await(CompletableFuture<T> future) {
    notOwnThread();
    try {
      return future.get();
    } catch (ExecutionException failed) {
      throw WsiSamException.of(failed);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw Errors.closed();
    }
  }

  /** This client's version. */
  public static String version() {
    return ClientVersion.TEXT;
  }

  private void dispose() {
    try {
      connection.dispose(PATIENCE);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    } finally {
      closed.countDown();
    }
  }

  private static void notOwnThread() {
    if (Threads.isOwn()) {
      throw new IllegalStateException("this would wait for itself: use thenAccept instead of waiting in a listener");
    }
  }

  private CompletableFuture<ListModelsResponse> askModels() {
    return quick(SegmentationGrpc.getListModelsMethod(), ListModelsRequest.getDefaultInstance());
  }

  private static List<ModelInfo> models(ListModelsResponse known) {
    return known.getModelsList().stream().map(ModelInfo::of).toList();
  }

  private CompletableFuture<Health> askHealth() {
    return quick(HealthGrpc.getCheckMethod(), HealthCheckRequest.getDefaultInstance())
        .thenApply(HealthCheckResponse::getStatus)
        .thenApply(status -> status == ServingStatus.SERVING ? Health.SERVING : Health.NOT_SERVING)
        .exceptionally(
            failure -> {
              WsiSamException error = WsiSamException.of(failure);
              if (error.reason().equals(ClientReason.SERVER_TOO_OLD)) {
                return Health.UNKNOWN;
              }
              throw error;
            });
  }

  private <Q, A> CompletableFuture<A> quick(MethodDescriptor<Q, A> method, Q request) {
    Duration longest = connection.options().callTimeout();
    return connection.call(method, request, longest.compareTo(QUICK) < 0 ? longest : QUICK);
  }
}
