package io.wsisam.client.connection;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ClientInterceptors;
import io.grpc.ConnectivityState;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.TlsChannelCredentials;
import io.grpc.okhttp.OkHttpChannelBuilder;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.time.Duration;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;

/** The channel to one server, and calls with one answer on it. Used from the work thread, unless stated. */
public final class Connection {
  private static final int LARGEST_MESSAGE = 64 * 1024 * 1024;

  /** After a request to connect at once: what waits goes on then, connected or not. */
  private static final Duration RECONNECTING = Duration.ofSeconds(2);

  private static final Metadata.Key<String> REQUEST_ID =
      Metadata.Key.of("x-request-id", Metadata.ASCII_STRING_MARSHALLER);

  private final Threads threads;
  private final ClientOptions options;
  private final Errors errors;
  private final ManagedChannel channel;
  private final CallOptions callOptions;
  private final Set<Consumer<WsiSamException>> endings = new LinkedHashSet<>();
  private final Set<Pause> pauses = new LinkedHashSet<>();
  private WsiSamException ended;
  private boolean reached;

  public Connection(ClientOptions options) {
    this.options = options;
    errors = new Errors(options.address());
    callOptions = credentials(options);
    ChannelCredentials security = security(options);
    threads = new Threads();
    Routes routes = new Routes(options.address());
    channel =
        OkHttpChannelBuilder.forAddress(options.address().host(), options.address().port(), security)
            .executor(threads.work)
            .scheduledExecutorService(threads.work)
            .transportExecutor(threads.network)
            .offloadExecutor(threads.network)
            .proxyDetector(routes)
            .socketFactory(routes)
            .keepAliveTime(options.keepalive().toNanos(), TimeUnit.NANOSECONDS)
            .keepAliveTimeout(options.keepaliveAnswer().toNanos(), TimeUnit.NANOSECONDS)
            .maxInboundMessageSize(LARGEST_MESSAGE)
            .disableServiceConfigLookUp() // one look-up less in a hospital's name service
            .userAgent("wsisam-qupath-client/" + ClientVersion.TEXT)
            .build();
  }

  /** Its threads. */
  public Threads threads() {
    return threads;
  }

  /** What it was opened with. */
  public ClientOptions options() {
    return options;
  }

  /** Makes errors that name this server. */
  public Errors errors() {
    return errors;
  }

  /** A new id, by which a call is found in the server's log. */
  public static String newRequestId() {
    return UUID.randomUUID().toString();
  }

  /** One call with one answer, one attempt. */
  public <Q, A> CompletableFuture<A> call(MethodDescriptor<Q, A> method, Q request, Duration timeout) {
    CompletableFuture<A> answer = new CompletableFuture<>();
    if (ended != null) {
      answer.completeExceptionally(ended);
      return answer;
    }
    // Every attempt after a failure tries to connect; gRPC's own waiting time is not added to ours.
    channel.resetConnectBackoff();
    String requestId = newRequestId();
    ClientCall<Q, A> call =
        on(requestId).newCall(method, callOptions.withDeadlineAfter(timeout.toNanos(), TimeUnit.NANOSECONDS));
    ClientCalls.asyncUnaryCall(call, request, new UnaryObserver<>(answer, requestId));
    return answer;
  }

  /** A call with many answers; the observer is called on the work thread. */
  public <Q, A> ClientCall<Q, A> stream(MethodDescriptor<Q, A> method, String requestId) {
    channel.resetConnectBackoff();
    return on(requestId).newCall(method, callOptions);
  }

  /** A call with many answers that must have come in a certain time. */
  public <Q, A> ClientCall<Q, A> stream(MethodDescriptor<Q, A> method, String requestId, Duration timeout) {
    channel.resetConnectBackoff();
    return on(requestId).newCall(method, callOptions.withDeadlineAfter(timeout.toNanos(), TimeUnit.NANOSECONDS));
  }

  /**
   * Repeats what fails for a reason that may pass, until it has taken {@code callTimeout}. A server that was never
   * reached is not waited for: then the address is wrong, or it was not started.
   */
  public <A> CompletableFuture<A> withRetries(Function<Duration, CompletableFuture<A>> attempt) {
    return withRetries(options.callTimeout(), attempt);
  }

  /** As above, for calls that may take longer. */
  public <A> CompletableFuture<A> withRetries(Duration patience, Function<Duration, CompletableFuture<A>> attempt) {
    CompletableFuture<A> answer = new CompletableFuture<>();
    Consumer<WsiSamException> ending = answer::completeExceptionally;
    onEnd(ending);
    answer.whenComplete((value, failure) -> forgetEnding(ending));
    long end = System.nanoTime() + patience.toNanos();
    repeat(attempt, end, new Backoff(options.firstRetry(), options.longestRetry()), answer);
    return answer;
  }

  private <A> void repeat(
      Function<Duration, CompletableFuture<A>> attempt, long end, Backoff backoff, CompletableFuture<A> answer) {
    attempt
        .apply(Duration.ofNanos(Math.max(1, end - System.nanoTime())))
        .whenComplete(
            (value, failure) -> {
              if (failure == null) {
                answer.complete(value);
                return;
              }
              WsiSamException error = WsiSamException.of(failure);
              Duration pause = backoff.next();
              boolean inTime = System.nanoTime() + pause.toNanos() < end;
              if (reached && ended == null && inTime && Errors.isTransient(error)) {
                pause(pause, () -> repeat(attempt, end, backoff, answer));
              } else {
                answer.completeExceptionally(error);
              }
            });
  }

  /** Runs a task on the work thread and completes the future on the callback thread. From any thread. */
  public <A> CompletableFuture<A> publish(Supplier<CompletableFuture<A>> task) {
    CompletableFuture<A> published = new CompletableFuture<>();
    boolean taken =
        threads.work(
            () ->
                task.get()
                    .whenComplete((value, failure) -> threads.callback(() -> settle(published, value, failure))));
    if (!taken) {
      published.completeExceptionally(Errors.closed());
    }
    return published;
  }

  private static <A> void settle(CompletableFuture<A> published, A value, Throwable failure) {
    if (failure == null) {
      published.complete(value);
    } else {
      published.completeExceptionally(WsiSamException.of(failure));
    }
  }

  /** Notes that the server is there. */
  public void answered() {
    reached = true;
    errors.answered();
  }

  /** The error of a closed client, or null. */
  public WsiSamException ended() {
    return ended;
  }

  /** What to do when the client is closed. */
  public void onEnd(Consumer<WsiSamException> ending) {
    endings.add(ending);
  }

  public void forgetEnding(Consumer<WsiSamException> ending) {
    endings.remove(ending);
  }

  /** Goes on after a while, or when the user does not want to wait. */
  public void pause(Duration length, Runnable next) {
    Pause pause = new Pause(next);
    pause.timer = threads.later(length, () -> goOn(pause));
    pauses.add(pause);
  }

  /** Ends all waiting for the next attempt. From any thread. */
  public void retryNow() {
    threads.work(
        () -> {
          // Until the channel is connected again, its calls fail at once: what waits goes on when it is, or soon anyhow.
          ConnectivityState before = channel.getState(true);
          channel.resetConnectBackoff();
          if (before == ConnectivityState.READY) {
            endPauses();
          } else {
            channel.notifyWhenStateChanged(before, () -> threads.work(this::endPauses));
            threads.later(RECONNECTING, this::endPauses);
          }
        });
  }

  private void endPauses() {
    List.copyOf(pauses).forEach(this::goOn);
  }

  private void goOn(Pause pause) {
    if (pauses.remove(pause)) {
      pause.timer.cancel(false);
      pause.next.run();
    }
  }

  /** Fails all that is under way and ends the channel. */
  public void end(WsiSamException error) {
    ended = error;
    List.copyOf(endings).forEach(ending -> ending.accept(error));
    channel.shutdownNow();
  }

  /** Waits until channel and threads are gone. Not from the work thread. */
  public void dispose(Duration patience) throws InterruptedException {
    channel.awaitTermination(patience.toNanos(), TimeUnit.NANOSECONDS);
    threads.close(patience);
  }

  private Channel on(String requestId) {
    Metadata headers = new Metadata();
    headers.put(REQUEST_ID, requestId);
    ClientInterceptor attach = MetadataUtils.newAttachHeadersInterceptor(headers);
    return ClientInterceptors.intercept(channel, attach);
  }

  private static CallOptions credentials(ClientOptions options) {
    if (options.token() == null || options.token().isBlank()) {
      return CallOptions.DEFAULT;
    }
    if (!options.address().tls() && !options.address().isLoopback()) {
      throw new WsiSamException(
          "FAILED_PRECONDITION",
          ClientReason.TOKEN_NEEDS_TLS,
          "The token would cross the network readable for everyone. Use an encrypted address: https://"
              + options.address().authority(),
          "",
          Map.of());
    }
    return CallOptions.DEFAULT.withCallCredentials(BearerToken.of(options.token().strip()));
  }

  private static ChannelCredentials security(ClientOptions options) {
    if (!options.address().tls()) {
      return InsecureChannelCredentials.create();
    }
    if (options.certificates() == null) {
      return TlsChannelCredentials.create();
    }
    try {
      return TlsChannelCredentials.newBuilder().trustManager(options.certificates().toFile()).build();
    } catch (IOException unreadable) {
      throw new WsiSamException(
          "INVALID_ARGUMENT",
          ClientReason.BAD_CERTIFICATES,
          "The certificates in " + options.certificates() + " cannot be read: " + unreadable.getMessage(),
          unreadable);
    }
  }

  /** A waiting time before the next attempt. */
  private static final class Pause {
    private final Runnable next;
    private ScheduledFuture<?> timer;

    Pause(Runnable next) {
      this.next = next;
    }
  }

  /** The observer of a call with one answer. */
  private final class UnaryObserver<A> implements StreamObserver<A> {
    private final CompletableFuture<A> answer;
    private final String requestId;
    private A value;

    UnaryObserver(CompletableFuture<A> answer, String requestId) {
      this.answer = answer;
      this.requestId = requestId;
    }

    @Override
    public void onNext(A message) {
      value = message;
    }

    @Override
    public void onError(Throwable failure) {
      WsiSamException error = ended != null ? ended : errors.of(failure, requestId);
      if (!error.reason().isEmpty() && !error.isConnection() || error.reason().equals("STARTING")) {
        answered();
      }
      answer.completeExceptionally(error);
    }

    @Override
    public void onCompleted() {
      answered();
      answer.complete(value);
    }
  }
}
