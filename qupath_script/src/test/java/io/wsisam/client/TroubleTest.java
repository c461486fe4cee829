package io.wsisam.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpServer;
import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.okhttp.OkHttpServerBuilder;
import io.grpc.stub.StreamObserver;
import io.wsisam.client.connection.ClientOptions;
import io.wsisam.client.connection.ClientReason;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.segmentation.Batch;
import io.wsisam.client.segmentation.BatchItem;
import io.wsisam.client.segmentation.BatchResult;
import io.wsisam.client.segmentation.Failure;
import io.wsisam.client.segmentation.Prompt;
import io.wsisam.client.segmentation.PromptRequest;
import io.wsisam.client.segmentation.SegmentOptions;
import io.wsisam.client.segmentation.Session;
import io.wsisam.client.segmentation.SessionState;
import io.wsisam.client.slides.ImaginedSlides;
import io.wsisam.client.slides.Slide;
import io.wsisam.client.slides.SlideReference;
import io.wsisam.support.Collected;
import io.wsisam.support.Eventually;
import io.wsisam.support.Recorder;
import io.wsisam.v1.InteractRequest;
import io.wsisam.v1.InteractResponse;
import io.wsisam.v1.OpenSlideRequest;
import io.wsisam.v1.OpenSlideResponse;
import io.wsisam.v1.SegmentationGrpc;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Servers that are not there, do not answer, are something else, or are too old. */
@Timeout(60)
class TroubleTest {
  private static final Duration SHORT = Duration.ofMillis(700);

  private static ClientOptions impatient(int port) {
    return ClientOptions.to("127.0.0.1:" + port)
        .withCallTimeout(SHORT)
        .withAnswerTimeout(SHORT)
        .withRetry(Duration.ofMillis(20), Duration.ofMillis(100));
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }

  private static WsiSamException failure(CompletableFuture<?> call) {
    return assertThrows(WsiSamException.class, () -> WsiSamClient.await(call));
  }

  private static SlideReference somewhere() {
    return SlideReference.of(List.of(URI.create("file:/slide.svs")), 100, 100, 0.25, null);
  }

  @Test
  void nobodyListensThere() throws Exception {
    int port = freePort();
    long begin = System.nanoTime();
    try (WsiSamClient client = WsiSamClient.connect("127.0.0.1:" + port)) {
      for (WsiSamException error : List.of(failure(client.info()), failure(client.openSlide(somewhere())))) {
        assertEquals("UNAVAILABLE", error.status());
        assertEquals(ClientReason.UNREACHABLE, error.reason());
        assertTrue(error.text().contains("127.0.0.1:" + port), error.text());
        assertTrue(error.isConnection());
      }
    }
    assertTrue(System.nanoTime() - begin < 20e9, "a server that was never there is not waited for");
  }

  @Test
  void nobodyHasThisName() {
    try (WsiSamClient client = WsiSamClient.connect("no-such-computer.invalid:8765")) {
      WsiSamException error = failure(client.info());
      assertEquals(ClientReason.UNREACHABLE, error.reason());
      assertTrue(error.text().contains("no-such-computer.invalid"), error.text());
    }
  }

  @Test
  void aPromptToAServerThatIsAwayFailsOnceWithTheReason() throws Exception {
    Recorder recorder = new Recorder();
    try (WsiSamClient client = WsiSamClient.connect(impatient(freePort()))) {
      Session session = client.interact(imagined(), SegmentOptions.defaults(), recorder);
      int revision = session.prompt("disc", PromptRequest.of(Prompt.click(1, 1)));
      Failure failure = recorder.failure();
      assertEquals(revision, failure.revision());
      assertEquals(ClientReason.UNREACHABLE, failure.error().reason());
      assertTrue(recorder.states.contains(SessionState.WAITING));
      assertEquals(1, recorder.counts.size());
    }
  }

  @Test
  void aServerThatTakesConnectionsAndSaysNothing() throws Exception {
    try (Hanging hanging = new Hanging();
        WsiSamClient client = WsiSamClient.connect(impatient(hanging.port()))) {
      for (CompletableFuture<?> call :
          List.of(client.info(), client.models(), client.openSlide(somewhere()))) {
        WsiSamException error = failure(call);
        assertTrue(error.isConnection(), error::toString);
      }
      Recorder recorder = new Recorder();
      Session session = client.interact(imagined(), SegmentOptions.defaults(), recorder);
      session.prompt("disc", PromptRequest.of(Prompt.click(1, 1)));
      assertTrue(recorder.failure().error().isConnection());
      Collected collected = new Collected();
      Batch batch =
          client.segmentBatch(
              imagined(),
              List.of(new BatchItem("one", PromptRequest.of(Prompt.click(1, 1)))),
              SegmentOptions.defaults(),
              collected);
      assertEquals(new BatchResult(0, 1, false), WsiSamClient.await(batch.result()));
      assertTrue(collected.failures.get("one").error().isConnection());
    }
  }

  @Test
  void aServerThatStartsTheStreamAndThenHangs() throws Exception {
    try (Old server = new Old(new Sleeping());
        WsiSamClient client = WsiSamClient.connect(impatient(server.port()))) {
      WsiSamException slow = failure(client.openSlide(somewhere()));
      assertEquals("DEADLINE_EXCEEDED", slow.status());
      assertEquals(ClientReason.NO_ANSWER_IN_TIME, slow.reason());
      Recorder recorder = new Recorder();
      Session session = client.interact(imagined(), SegmentOptions.defaults(), recorder);
      session.prompt("disc", PromptRequest.of(Prompt.click(1, 1)));
      assertEquals(ClientReason.NO_ANSWER_IN_TIME, recorder.failure().error().reason());
      assertEquals(0, session.unanswered());
    }
  }

  @Test
  void aServerThatDoesNotKnowTheCallIsTooOld() throws Exception {
    try (Old server = new Old(null);
        WsiSamClient client = WsiSamClient.connect(impatient(server.port()))) {
      assertEquals(Health.UNKNOWN, WsiSamClient.await(client.health()));
      WsiSamException error = failure(client.models());
      assertEquals("UNIMPLEMENTED", error.status());
      assertEquals(ClientReason.SERVER_TOO_OLD, error.reason());
      Recorder recorder = new Recorder();
      Session session = client.interact(imagined(), SegmentOptions.defaults(), recorder);
      session.prompt("disc", PromptRequest.of(Prompt.click(1, 1)));
      assertEquals(ClientReason.SERVER_TOO_OLD, recorder.failure().error().reason());
      assertEquals(SessionState.FAILED, session.state());
    }
  }

  @Test
  void aWebServerIsNoWsisamServer() throws Exception {
    HttpServer web = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    web.start();
    try (WsiSamClient client = WsiSamClient.connect(impatient(web.getAddress().getPort()))) {
      WsiSamException error = failure(client.models());
      assertEquals(ClientReason.NOT_A_WSISAM_SERVER, error.reason(), error::toString);
      assertTrue(error.text().contains("127.0.0.1"), error.text());
    } finally {
      web.stop(0);
    }
  }

  @Test
  void theServerThatComesLaterIsFound() throws Exception {
    int port = freePort();
    try (WsiSamClient client = WsiSamClient.connect(impatient(port).withAnswerTimeout(Duration.ofSeconds(20)))) {
      Recorder recorder = new Recorder();
      Session session = client.interact(imagined(), SegmentOptions.defaults(), recorder);
      assertTrue(Eventually.holds(Duration.ofSeconds(10), () -> recorder.causes.size() > 2));
      session.prompt("disc", PromptRequest.of(Prompt.click(1, 1)));
      try (Old server = new Old(new Sleeping(), port)) {
        assertEquals(port, server.port());
        assertTrue(Eventually.holds(Duration.ofSeconds(20), () -> session.state() == SessionState.READY));
      }
    }
  }

  @Test
  void aUserNeedNotWaitForTheNextAttempt() throws Exception {
    int port = freePort();
    ClientOptions patient =
        impatient(port)
            .withCallTimeout(Duration.ofSeconds(50))
            .withAnswerTimeout(Duration.ofSeconds(50))
            .withRetry(Duration.ofSeconds(100), Duration.ofSeconds(100));
    try (WsiSamClient client = WsiSamClient.connect(patient)) {
      Session session = client.interact(imagined(), SegmentOptions.defaults(), new Recorder());
      assertTrue(Eventually.holds(Duration.ofSeconds(10), () -> session.state() == SessionState.WAITING));
      try (Old server = new Old(new Sleeping(), port)) {
        assertEquals(port, server.port());
        client.retryNow();
        assertTrue(Eventually.holds(Duration.ofSeconds(10), () -> session.state() == SessionState.READY));
      }
    }
  }

  @Test
  void aClosedClientRefusesAndIsClosedTwice() throws Exception {
    WsiSamClient client = WsiSamClient.connect(impatient(freePort()));
    client.close();
    client.close();
    assertTrue(client.isClosed());
    assertTrue(client.awaitClosed(Duration.ofSeconds(10)));
    assertEquals(ClientReason.CLIENT_CLOSED, failure(client.info()).reason());
    assertEquals(
        ClientReason.CLIENT_CLOSED,
        assertThrows(
                WsiSamException.class,
                () -> client.interact(imagined(), SegmentOptions.defaults(), new Recorder()))
            .reason());
  }

  @Test
  void closingEndsAllThreads() throws Exception {
    try (Hanging hanging = new Hanging()) {
      WsiSamClient client = WsiSamClient.connect(impatient(hanging.port()).withCallTimeout(Duration.ofSeconds(30)));
      CompletableFuture<?> call = client.openSlide(somewhere());
      Recorder recorder = new Recorder();
      Session session = client.interact(imagined(), SegmentOptions.defaults(), recorder);
      session.prompt("disc", PromptRequest.of(Prompt.click(1, 1)));
      client.close();
      assertTrue(client.awaitClosed(Duration.ofSeconds(10)));
      assertEquals(ClientReason.CLIENT_CLOSED, failure(call).reason());
      assertEquals(ClientReason.CLIENT_CLOSED, recorder.failure().error().reason());
      assertTrue(
          Eventually.holds(
              Duration.ofSeconds(5),
              () ->
                  Thread.getAllStackTraces().keySet().stream()
                      .map(Thread::getName)
                      .noneMatch(name -> name.startsWith("wsisam-") || name.startsWith("grpc"))),
          () -> Thread.getAllStackTraces().keySet().toString());
    }
  }

  private static Slide imagined() {
    return ImaginedSlides.of(somewhere());
  }

  /** Accepts connections and never answers. */
  private static final class Hanging implements AutoCloseable {
    private final ServerSocket socket = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());

    Hanging() throws IOException {}

    int port() {
      return socket.getLocalPort();
    }

    @Override
    public void close() throws IOException {
      socket.close();
    }
  }

  /** A gRPC server with another service, or none. */
  private static final class Old implements AutoCloseable {
    private final Server server;

    Old(SegmentationGrpc.SegmentationImplBase service) throws IOException {
      this(service, 0);
    }

    Old(SegmentationGrpc.SegmentationImplBase service, int port) throws IOException {
      OkHttpServerBuilder builder =
          OkHttpServerBuilder.forPort(
              new InetSocketAddress(InetAddress.getLoopbackAddress(), port), InsecureServerCredentials.create());
      if (service != null) {
        builder.addService(service);
      }
      server = builder.build().start();
    }

    int port() {
      return server.getPort();
    }

    @Override
    public void close() {
      server.shutdownNow();
    }
  }

  /** Takes every call, greets, and answers nothing. */
  private static final class Sleeping extends SegmentationGrpc.SegmentationImplBase {
    @Override
    public void openSlide(OpenSlideRequest request, StreamObserver<OpenSlideResponse> observer) {
      // no answer, on purpose
    }

    @Override
    public StreamObserver<InteractRequest> interact(StreamObserver<InteractResponse> observer) {
      return new StreamObserver<>() {
        @Override
        public void onNext(InteractRequest request) {
          if (request.hasStart()) {
            observer.onNext(
                InteractResponse.newBuilder().setStarted(io.wsisam.v1.Started.getDefaultInstance()).build());
          }
        }

        @Override
        public void onError(Throwable failure) {
          // the client left
        }

        @Override
        public void onCompleted() {
          observer.onCompleted();
        }
      };
    }
  }
}
