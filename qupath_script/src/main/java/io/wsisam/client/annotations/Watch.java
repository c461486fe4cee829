package io.wsisam.client.annotations;

import io.grpc.ClientCall;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.StreamObserver;
import io.wsisam.client.connection.Backoff;
import io.wsisam.client.connection.Connection;
import io.wsisam.client.connection.Errors;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.v1.AnnotationsGrpc;
import io.wsisam.v1.AnnotationsWatchRequest;
import io.wsisam.v1.AnnotationsWatchResponse;
import java.util.List;
import java.util.function.Consumer;

/**
 * Changes to annotations as they are made. A lost connection and a restarted server are waited for; it then goes on after
 * the last change that was delivered, so that none is missed and none comes twice.
 */
public final class Watch implements AutoCloseable {
  private final Connection connection;
  private final AnnotationQuery query;
  private final WatchListener listener;
  private final Backoff backoff;
  private final Consumer<WsiSamException> ending = this::end;
  private ClientCall<AnnotationsWatchRequest, AnnotationsWatchResponse> call;
  private long revision;
  private String storeId = "";
  private boolean over;
  private volatile boolean closed;

  Watch(Connection connection, AnnotationQuery query, WatchListener listener) {
    this.connection = connection;
    this.query = query;
    this.listener = listener;
    revision = query.since();
    backoff = new Backoff(connection.options().firstRetry(), connection.options().longestRetry());
  }

  /** Begins; throws CLIENT_CLOSED. */
  Watch start() {
    boolean taken =
        connection.threads().work(
            () -> {
              connection.onEnd(ending);
              connect();
            });
    if (!taken) {
      throw Errors.closed();
    }
    return this;
  }

  /** Ends it; the listener is not called any more. Returns at once. */
  @Override
  public void close() {
    closed = true;
    connection.threads().work(() -> end(null));
  }

  private void connect() {
    if (over) {
      return;
    }
    if (connection.ended() != null) {
      end(connection.ended());
      return;
    }
    String requestId = Connection.newRequestId();
    call = connection.stream(AnnotationsGrpc.getWatchMethod(), requestId);
    ClientCalls.asyncServerStreamingCall(call, AnnotationWire.watch(query, revision), new Changes(requestId));
  }

  private void lost(WsiSamException error) {
    if (over) {
      return;
    }
    if (!Errors.isTransient(error) && !error.reason().equals("WATCH_TOO_SLOW")) {
      end(error);
      return;
    }
    tell(() -> listener.onConnection(error));
    connection.pause(backoff.next(), this::connect);
  }

  /** Ends it: by an error, or because the user is done with it (null). */
  private void end(WsiSamException error) {
    if (over) {
      return;
    }
    over = true;
    connection.forgetEnding(ending);
    if (call != null) {
      call.cancel("the watch has ended", null);
    }
    if (error != null) {
      tell(() -> listener.onEnd(error));
    }
  }

  private void tell(Runnable news) {
    connection.threads().callback(
        () -> {
          if (!closed) {
            news.run();
          }
        });
  }

  private final class Changes implements StreamObserver<AnnotationsWatchResponse> {
    private final String requestId;
    private boolean heard;

    Changes(String requestId) {
      this.requestId = requestId;
    }

    @Override
    public void onNext(AnnotationsWatchResponse message) {
      if (over) {
        return;
      }
      if (!storeId.isEmpty() && !storeId.equals(message.getStoreId())) {
        end(Errors.anotherStore());
        return;
      }
      storeId = message.getStoreId();
      revision = message.getRevision();
      connection.answered();
      backoff.reset();
      if (!heard) {
        heard = true;
        tell(() -> listener.onConnection(null));
      }
      List<StoredAnnotation> changed = message.getAnnotationsList().stream().map(AnnotationWire::annotation).toList();
      long upTo = revision;
      tell(() -> changed.forEach(listener::onChange));
      tell(() -> listener.onRevision(upTo, storeId));
    }

    @Override
    public void onError(Throwable failure) {
      lost(connection.ended() != null ? connection.ended() : connection.errors().of(failure, requestId));
    }

    @Override
    public void onCompleted() {
      lost(Errors.streamEnded(requestId));
    }
  }
}
