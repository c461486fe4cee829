package io.wsisam.client.annotations;

import io.grpc.ClientCall;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.ClientResponseObserver;
import io.wsisam.client.connection.Connection;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.slides.Slide;
import io.wsisam.v1.AnnotationsGrpc;
import io.wsisam.v1.AnnotationsSyncRequest;
import io.wsisam.v1.AnnotationsSyncResponse;
import io.wsisam.v1.SyncStart;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/**
 * Syncs images with the server's store, by the rules of {@code wsisam sync}: the server plans, and nothing of the rules is
 * here. Each call is sent under one request id, however often it has to be sent, and is idempotent.
 */
public final class ImageSync {
  /** So many times as long as other calls may take. */
  private static final int PATIENCE = 10;

  private final Connection connection;

  public ImageSync(Connection connection) {
    this.connection = connection;
  }

  /**
   * Syncs one image. The store's part is done when the future completes. What is as it was at the last sync is not sent; if
   * the store does not have that any more, all is sent.
   *
   * @param slide which the image shows
   * @param annotations all that the image holds now; what only the server sets is ignored
   * @param excludedIds ids of annotations that it holds and that cannot be sent; nothing is done about them
   * @param state the record of the image's last sync
   * @param options how it is to be synced
   */
  public CompletableFuture<SyncResult> sync(
      Slide slide,
      Collection<StoredAnnotation> annotations,
      Collection<String> excludedIds,
      SyncState state,
      SyncOptions options) {
    Map<String, String> digests = new HashMap<>();
    annotations.forEach(one -> digests.put(one.id(), one.digest()));
    return sync(slide, annotations, digests, excludedIds, state, options);
  }

  /**
   * As above, for a client that computes digests of other shapes than it sends.
   *
   * @param digests of all annotations, by id
   */
  public CompletableFuture<SyncResult> sync(
      Slide slide,
      Collection<StoredAnnotation> annotations,
      Map<String, String> digests,
      Collection<String> excludedIds,
      SyncState state,
      SyncOptions options) {
    SyncStart.Builder start =
        SyncStart.newBuilder()
            .setAuthor(options.author())
            .setProject(options.project())
            .setSlide(AnnotationWire.slide(slide))
            .setStoreId(state.storeId())
            .setDirection(SyncWire.direction(options.direction()))
            .setResolve(SyncWire.side(options.resolve()))
            .setValidateOnly(options.dryRun());
    return connection.publish(
        () ->
            sent(start, SyncWire.batches(annotations, digests, excludedIds, state))
                .exceptionallyCompose(
                    failure ->
                        WsiSamException.of(failure).reason().equals("SYNC_BASE_UNKNOWN")
                            ? sent(start, SyncWire.batches(annotations, digests, excludedIds, state.withoutDigests()))
                            : CompletableFuture.failedFuture(failure)));
  }

  private CompletableFuture<SyncResult> sent(SyncStart.Builder start, List<AnnotationsSyncRequest> batches) {
    // A large image takes the server minutes; that it is still there, keepalive tells.
    Duration patience = connection.options().callTimeout().multipliedBy(PATIENCE + batches.size());
    List<AnnotationsSyncRequest> messages = new ArrayList<>();
    messages.add(
        AnnotationsSyncRequest.newBuilder().setStart(start.setRequestId(UUID.randomUUID().toString())).build());
    messages.addAll(batches);
    return connection.withRetries(patience, left -> once(messages, left));
  }

  private CompletableFuture<SyncResult> once(List<AnnotationsSyncRequest> messages, Duration timeout) {
    if (connection.ended() != null) {
      return CompletableFuture.failedFuture(connection.ended());
    }
    String requestId = Connection.newRequestId();
    CompletableFuture<SyncResult> result = new CompletableFuture<>();
    ClientCall<AnnotationsSyncRequest, AnnotationsSyncResponse> call =
        connection.stream(AnnotationsGrpc.getSyncMethod(), requestId, timeout);
    ClientCalls.asyncBidiStreamingCall(call, new Parts(messages.iterator(), result, requestId));
    return result;
  }

  /** Sends the messages as fast as they go, and puts those of the answer together. */
  private final class Parts implements ClientResponseObserver<AnnotationsSyncRequest, AnnotationsSyncResponse> {
    private final Iterator<AnnotationsSyncRequest> messages;
    private final CompletableFuture<SyncResult> result;
    private final String requestId;
    private final List<StoredAnnotation> put = new ArrayList<>();
    private final List<String> remove = new ArrayList<>();
    private final Map<String, Long> synced = new HashMap<>();
    private final List<String> forgotten = new ArrayList<>();
    private final List<SyncAction> actions = new ArrayList<>();
    private String storeId = "";
    private int unchanged;
    private boolean allSent;

    Parts(Iterator<AnnotationsSyncRequest> messages, CompletableFuture<SyncResult> result, String requestId) {
      this.messages = messages;
      this.result = result;
      this.requestId = requestId;
    }

    @Override
    public void beforeStart(ClientCallStreamObserver<AnnotationsSyncRequest> out) {
      out.setOnReadyHandler(
          () -> {
            while (out.isReady() && messages.hasNext()) {
              out.onNext(messages.next());
            }
            if (!messages.hasNext() && !allSent) {
              allSent = true;
              out.onCompleted();
            }
          });
    }

    @Override
    public void onNext(AnnotationsSyncResponse message) {
      message.getPutList().forEach(annotation -> put.add(AnnotationWire.annotation(annotation)));
      remove.addAll(message.getRemoveList());
      message.getSyncedList().forEach(base -> synced.put(base.getId(), base.getRevision()));
      forgotten.addAll(message.getForgottenList());
      message.getActionsList().forEach(said -> actions.add(SyncWire.action(said)));
      storeId = message.getStoreId();
      unchanged += message.getUnchanged();
    }

    @Override
    public void onError(Throwable failure) {
      result.completeExceptionally(
          connection.ended() != null ? connection.ended() : connection.errors().of(failure, requestId));
    }

    @Override
    public void onCompleted() {
      connection.answered();
      result.complete(new SyncResult(put, remove, storeId, synced, forgotten, actions, unchanged));
    }
  }
}
