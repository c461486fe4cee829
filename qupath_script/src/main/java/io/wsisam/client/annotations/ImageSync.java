package io.wsisam.client.annotations;

import io.grpc.ClientCall;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.StreamObserver;
import io.wsisam.client.connection.Connection;
import io.wsisam.client.slides.Slide;
import io.wsisam.v1.AnnotationsGrpc;
import io.wsisam.v1.AnnotationsSyncRequest;
import io.wsisam.v1.AnnotationsSyncResponse;
import io.wsisam.v1.SyncedAnnotation;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/**
 * Syncs images with the server's store, by the rules of {@code wsisam sync}: the server plans, and nothing of the rules is
 * here. Each call is sent under one request id, however often it has to be sent, and is idempotent.
 */
public final class ImageSync {
  private final Connection connection;

  public ImageSync(Connection connection) {
    this.connection = connection;
  }

  /**
   * Syncs one image. The store's part is done when the future completes.
   *
   * @param slide which the image shows
   * @param annotations all that the image holds now; revisions and what only the server sets are ignored
   * @param excludedIds ids of annotations that it holds and that cannot be sent; nothing is done about them
   * @param state what was kept of the image's last sync
   * @param options how it is to be synced
   */
  public CompletableFuture<SyncResult> sync(
      Slide slide,
      Collection<StoredAnnotation> annotations,
      Collection<String> excludedIds,
      SyncState state,
      SyncOptions options) {
    AnnotationsSyncRequest.Builder request =
        AnnotationsSyncRequest.newBuilder()
            .setRequestId(UUID.randomUUID().toString())
            .setAuthor(options.author())
            .setProject(options.project())
            .setSlide(AnnotationWire.slide(slide))
            .addAllExcludedIds(excludedIds)
            .setStoreId(state.storeId())
            .setDirection(SyncWire.direction(options.direction()))
            .setResolve(SyncWire.side(options.resolve()))
            .setValidateOnly(options.dryRun());
    annotations.forEach(annotation -> request.addAnnotations(AnnotationWire.annotation(annotation)));
    state
        .revisions()
        .forEach(
            (id, revision) -> request.addSynced(SyncedAnnotation.newBuilder().setId(id).setRevision(revision)));
    AnnotationsSyncRequest built = request.build();
    return connection.publish(() -> connection.withRetries(left -> once(built, left)));
  }

  private CompletableFuture<SyncResult> once(AnnotationsSyncRequest request, Duration timeout) {
    if (connection.ended() != null) {
      return CompletableFuture.failedFuture(connection.ended());
    }
    String requestId = Connection.newRequestId();
    CompletableFuture<SyncResult> result = new CompletableFuture<>();
    ClientCall<AnnotationsSyncRequest, AnnotationsSyncResponse> call =
        connection.stream(AnnotationsGrpc.getSyncMethod(), requestId, timeout);
    ClientCalls.asyncServerStreamingCall(call, request, new Parts(result, requestId));
    return result;
  }

  /** Puts the messages of one answer together. */
  private final class Parts implements StreamObserver<AnnotationsSyncResponse> {
    private final CompletableFuture<SyncResult> result;
    private final String requestId;
    private final List<StoredAnnotation> put = new ArrayList<>();
    private final List<String> remove = new ArrayList<>();
    private final Map<String, Long> revisions = new HashMap<>();
    private final List<SyncAction> actions = new ArrayList<>();
    private String storeId = "";
    private int unchanged;

    Parts(CompletableFuture<SyncResult> result, String requestId) {
      this.result = result;
      this.requestId = requestId;
    }

    @Override
    public void onNext(AnnotationsSyncResponse message) {
      message.getPutList().forEach(annotation -> put.add(AnnotationWire.annotation(annotation)));
      remove.addAll(message.getRemoveList());
      message.getSyncedList().forEach(synced -> revisions.put(synced.getId(), synced.getRevision()));
      message.getActionsList().forEach(said -> actions.add(SyncWire.action(said)));
      storeId = message.getStoreId();
      unchanged = message.getUnchanged();
    }

    @Override
    public void onError(Throwable failure) {
      result.completeExceptionally(
          connection.ended() != null ? connection.ended() : connection.errors().of(failure, requestId));
    }

    @Override
    public void onCompleted() {
      connection.answered();
      result.complete(new SyncResult(put, remove, new SyncState(storeId, revisions), actions, unchanged));
    }
  }
}
