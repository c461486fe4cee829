package io.wsisam.client.annotations;

import io.grpc.ClientCall;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.StreamObserver;
import io.wsisam.client.connection.Connection;
import io.wsisam.client.slides.Slide;
import io.wsisam.v1.AnnotationTarget;
import io.wsisam.v1.AnnotationsDeleteRequest;
import io.wsisam.v1.AnnotationsGetRequest;
import io.wsisam.v1.AnnotationsGetStoreRequest;
import io.wsisam.v1.AnnotationsGrpc;
import io.wsisam.v1.AnnotationsListRequest;
import io.wsisam.v1.AnnotationsListResponse;
import io.wsisam.v1.AnnotationsListRevisionsRequest;
import io.wsisam.v1.AnnotationsListSlidesRequest;
import io.wsisam.v1.AnnotationsRestoreRequest;
import io.wsisam.v1.AnnotationsSaveRequest;
import io.wsisam.v1.RestoreTarget;
import io.wsisam.v1.SavedAnnotation;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/**
 * The annotations that a server keeps. A change is on the server's disk when its future completes. Each change is sent
 * under one request id, however often it has to be sent, so that it is made once.
 *
 * <p>Beside what every call may fail with: STORE_OFF, REVISION_CONFLICT (somebody else changed it since), INVALID_SHAPE,
 * ANNOTATION_NOT_FOUND, STORE_FULL; {@code protos/wsisam/v1/annotations.proto} has them all.
 */
public final class Annotations {
  /** Entries that the server gives at once. */
  private static final int PAGE = 1000;

  private final Connection connection;

  public Annotations(Connection connection) {
    this.connection = connection;
  }

  /**
   * Stores annotations, new or changed: all of them, or none.
   *
   * @param annotations different ones, 1 to 10,000
   * @param author who makes the change; not empty
   * @param slides what is known here of their slides; may be empty
   * @return what became of each, in their order
   */
  public CompletableFuture<List<SavedRevision>> save(
      List<StoredAnnotation> annotations, String author, Collection<Slide> slides) {
    AnnotationsSaveRequest.Builder request = saving(author);
    annotations.forEach(annotation -> request.addItems(AnnotationWire.item(annotation)));
    slides.forEach(slide -> request.addSlides(AnnotationWire.slide(slide)));
    return save(request.build());
  }

  /**
   * Stores some fields of annotations that the store has: all of them, or none. The other fields are not sent, and stay as
   * they are in the store. So a new name or class costs no shape.
   *
   * @param annotations different ones as they were read, with new values; 1 to 10,000
   * @param fields which fields; at least one
   * @param author who makes the change; not empty
   * @return what became of each, in their order
   */
  public CompletableFuture<List<SavedRevision>> saveFields(
      List<StoredAnnotation> annotations, Set<AnnotationField> fields, String author) {
    if (fields.isEmpty()) {
      throw new IllegalArgumentException("which fields are to be saved?");
    }
    AnnotationsSaveRequest.Builder request = saving(author);
    annotations.forEach(annotation -> request.addItems(AnnotationWire.item(annotation, fields)));
    return save(request.build());
  }

  private static AnnotationsSaveRequest.Builder saving(String author) {
    return AnnotationsSaveRequest.newBuilder()
        .setRequestId(UUID.randomUUID().toString())
        .setAuthor(Objects.requireNonNull(author));
  }

  private CompletableFuture<List<SavedRevision>> save(AnnotationsSaveRequest request) {
    return connection.publish(
        () ->
            connection.withRetries(
                left ->
                    connection
                        .call(AnnotationsGrpc.getSaveMethod(), request, left)
                        .thenApply(response -> all(response.getSavedList()))));
  }

  /** Makes a change that was written down; what became of the annotation. */
  public CompletableFuture<SavedRevision> send(AnnotationChange change) {
    return (change.isDeletion() ? delete(change.deleting()) : save(change.saving())).thenApply(saved -> saved.get(0));
  }

  /**
   * Deletes annotations as of the revisions that they have here: all of them, or none.
   *
   * @param annotations different ones, as they were read
   * @param author who makes the change; not empty
   * @return what became of each, in their order
   */
  public CompletableFuture<List<SavedRevision>> delete(Collection<StoredAnnotation> annotations, String author) {
    AnnotationsDeleteRequest.Builder request =
        AnnotationsDeleteRequest.newBuilder()
            .setRequestId(UUID.randomUUID().toString())
            .setAuthor(Objects.requireNonNull(author));
    annotations.forEach(
        annotation ->
            request.addTargets(
                AnnotationTarget.newBuilder().setId(annotation.id()).setRevision(annotation.revision())));
    return delete(request.build());
  }

  private CompletableFuture<List<SavedRevision>> delete(AnnotationsDeleteRequest request) {
    return connection.publish(
        () ->
            connection.withRetries(
                left ->
                    connection
                        .call(AnnotationsGrpc.getDeleteMethod(), request, left)
                        .thenApply(response -> all(response.getSavedList()))));
  }

  /**
   * Brings annotations back: deleted ones as they were when they were deleted; any one, as of an earlier revision.
   *
   * @param annotations different ones, as they were read; their revisions are the latest that the user has seen
   * @param toRevision the earlier revision, or null for the last one before the deletion
   * @param author who makes the change; not empty
   * @return what became of each, in their order
   */
  public CompletableFuture<List<SavedRevision>> restore(
      Collection<StoredAnnotation> annotations, Long toRevision, String author) {
    AnnotationsRestoreRequest.Builder request =
        AnnotationsRestoreRequest.newBuilder()
            .setRequestId(UUID.randomUUID().toString())
            .setAuthor(Objects.requireNonNull(author));
    for (StoredAnnotation annotation : annotations) {
      RestoreTarget.Builder target =
          RestoreTarget.newBuilder().setId(annotation.id()).setRevision(annotation.revision());
      if (toRevision != null) {
        target.setToRevision(toRevision);
      }
      request.addTargets(target);
    }
    return connection.publish(
        () ->
            connection.withRetries(
                left ->
                    connection
                        .call(AnnotationsGrpc.getRestoreMethod(), request.build(), left)
                        .thenApply(response -> all(response.getSavedList()))));
  }

  /** One annotation as of each of its revisions, the oldest first. */
  public CompletableFuture<List<StoredAnnotation>> revisions(String id) {
    AnnotationsListRevisionsRequest request =
        AnnotationsListRevisionsRequest.newBuilder().setId(Objects.requireNonNull(id)).setPageSize(PAGE).build();
    return connection.publish(() -> revisions(request, new ArrayList<>()));
  }

  private CompletableFuture<List<StoredAnnotation>> revisions(
      AnnotationsListRevisionsRequest request, List<StoredAnnotation> found) {
    return connection
        .withRetries(left -> connection.call(AnnotationsGrpc.getListRevisionsMethod(), request, left))
        .thenCompose(
            page -> {
              page.getRevisionsList().forEach(revision -> found.add(AnnotationWire.annotation(revision)));
              String next = page.getNextPageToken();
              return next.isEmpty()
                  ? CompletableFuture.completedFuture(List.copyOf(found))
                  : revisions(request.toBuilder().setPageToken(next).build(), found);
            });
  }

  /** The slides that hold annotations which the caller may see, in the order of their first annotations. */
  public CompletableFuture<List<StoredSlide>> slides() {
    AnnotationsListSlidesRequest request = AnnotationsListSlidesRequest.newBuilder().setPageSize(PAGE).build();
    return connection.publish(() -> slides(request, new ArrayList<>()));
  }

  private CompletableFuture<List<StoredSlide>> slides(AnnotationsListSlidesRequest request, List<StoredSlide> found) {
    return connection
        .withRetries(left -> connection.call(AnnotationsGrpc.getListSlidesMethod(), request, left))
        .thenCompose(
            page -> {
              page.getSlidesList().forEach(slide -> found.add(AnnotationWire.slide(slide)));
              String next = page.getNextPageToken();
              return next.isEmpty()
                  ? CompletableFuture.completedFuture(List.copyOf(found))
                  : slides(request.toBuilder().setPageToken(next).build(), found);
            });
  }

  /** Which store the server has, and how far it is. */
  public CompletableFuture<StoreInfo> store() {
    AnnotationsGetStoreRequest request = AnnotationsGetStoreRequest.getDefaultInstance();
    return connection.publish(
        () ->
            connection.withRetries(
                left ->
                    connection
                        .call(AnnotationsGrpc.getGetStoreMethod(), request, left)
                        .thenApply(
                            store ->
                                new StoreInfo(store.getStoreId(), store.getRevision(), store.getSchemaVersion()))));
  }

  /**
   * Every change to the annotations that a query asks for: first those after {@code query.since()}, then each as it is
   * made. Deletions come too, whatever the query says.
   */
  public Watch watch(AnnotationQuery query, WatchListener listener) {
    return new Watch(connection, query, listener).start();
  }

  /** One annotation as it is, deleted or not. */
  public CompletableFuture<StoredAnnotation> get(String id) {
    AnnotationsGetRequest request = AnnotationsGetRequest.newBuilder().setId(id).build();
    return connection.publish(
        () ->
            connection.withRetries(
                left ->
                    connection
                        .call(AnnotationsGrpc.getGetMethod(), request, left)
                        .thenApply(response -> AnnotationWire.annotation(response.getAnnotation()))));
  }

  /** All annotations that a query asks for. */
  public CompletableFuture<AnnotationList> list(AnnotationQuery query) {
    AnnotationsListRequest request = AnnotationWire.request(query);
    return connection.publish(() -> connection.withRetries(left -> listOnce(request, left)));
  }

  private CompletableFuture<AnnotationList> listOnce(AnnotationsListRequest request, Duration timeout) {
    if (connection.ended() != null) {
      return CompletableFuture.failedFuture(connection.ended());
    }
    String requestId = Connection.newRequestId();
    CompletableFuture<AnnotationList> list = new CompletableFuture<>();
    ClientCall<AnnotationsListRequest, AnnotationsListResponse> call =
        connection.stream(AnnotationsGrpc.getListMethod(), requestId, timeout);
    ClientCalls.asyncServerStreamingCall(call, request, new Listing(list, requestId));
    return list;
  }

  private static List<SavedRevision> all(List<SavedAnnotation> messages) {
    return messages.stream().map(AnnotationWire::saved).toList();
  }

  /** Collects the messages of one list. What was changed meanwhile comes again, and counts as it was sent last. */
  private final class Listing implements StreamObserver<AnnotationsListResponse> {
    private final CompletableFuture<AnnotationList> list;
    private final String requestId;
    private final Map<String, StoredAnnotation> found = new LinkedHashMap<>();
    private long revision;
    private String storeId = "";

    Listing(CompletableFuture<AnnotationList> list, String requestId) {
      this.list = list;
      this.requestId = requestId;
    }

    @Override
    public void onNext(AnnotationsListResponse message) {
      message
          .getAnnotationsList()
          .forEach(
              annotation -> {
                found.remove(annotation.getId());
                found.put(annotation.getId(), AnnotationWire.annotation(annotation));
              });
      revision = message.getRevision();
      storeId = message.getStoreId();
    }

    @Override
    public void onError(Throwable failure) {
      list.completeExceptionally(connection.ended() != null ? connection.ended() : connection.errors().of(failure, requestId));
    }

    @Override
    public void onCompleted() {
      connection.answered();
      list.complete(new AnnotationList(new ArrayList<>(found.values()), revision, storeId));
    }
  }
}
