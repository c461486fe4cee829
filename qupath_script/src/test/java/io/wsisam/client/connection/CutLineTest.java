package io.wsisam.client.connection;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.okhttp.OkHttpServerBuilder;
import io.grpc.stub.StreamObserver;
import io.wsisam.client.WsiSamClient;
import io.wsisam.client.annotations.AnnotationShape;
import io.wsisam.client.segmentation.Batch;
import io.wsisam.client.segmentation.BatchResult;
import io.wsisam.client.segmentation.PolygonPart;
import io.wsisam.client.segmentation.Prompt;
import io.wsisam.client.segmentation.PromptRequest;
import io.wsisam.client.segmentation.ProposalFilter;
import io.wsisam.client.segmentation.SegmentOptions;
import io.wsisam.client.segmentation.Session;
import io.wsisam.client.segmentation.SessionState;
import io.wsisam.client.segmentation.Survey;
import io.wsisam.client.segmentation.SurveyResult;
import io.wsisam.client.slides.ImaginedSlides;
import io.wsisam.client.slides.Slide;
import io.wsisam.client.slides.SlideReference;
import io.wsisam.support.Collected;
import io.wsisam.support.Eventually;
import io.wsisam.support.Recorder;
import io.wsisam.support.Relay;
import io.wsisam.v1.BatchItem;
import io.wsisam.v1.InteractRequest;
import io.wsisam.v1.InteractResponse;
import io.wsisam.v1.ObjectOutline;
import io.wsisam.v1.Outline;
import io.wsisam.v1.SegmentBatchRequest;
import io.wsisam.v1.SegmentBatchResponse;
import io.wsisam.v1.SegmentEverythingRequest;
import io.wsisam.v1.SegmentEverythingResponse;
import io.wsisam.v1.SegmentationGrpc;
import io.wsisam.v1.Started;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A line that is cut without a word: neither side hears of it, and only a ping can tell. */
@Timeout(60)
class CutLineTest {
  /** gRPC takes no shorter one. */
  private static final Duration SILENCE = Duration.ofSeconds(10);

  private static final Duration LONG = Duration.ofSeconds(50);

  @Test
  void theUsualTimesEndItInTwoMinutes() {
    ClientOptions usual = ClientOptions.to("127.0.0.1");
    assertTrue(usual.keepalive().compareTo(Duration.ofSeconds(60)) > 0, "the server allows a ping a minute");
    assertTrue(usual.keepalive().plus(usual.keepaliveAnswer()).compareTo(Duration.ofSeconds(120)) < 0);
  }

  @Test
  void whatWaitsIsAskedAgainOnANewConnection() throws Exception {
    Holding service = new Holding();
    Server server =
        OkHttpServerBuilder.forPort(
                new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), InsecureServerCredentials.create())
            .permitKeepAliveTime(1, TimeUnit.SECONDS)
            .addService(service)
            .build()
            .start();
    try (Relay relay = Relay.to(server.getPort());
        WsiSamClient client =
            WsiSamClient.connect(
                ClientOptions.to("127.0.0.1:" + relay.port())
                    .withAnswerTimeout(LONG)
                    .withCallTimeout(LONG)
                    .withRetry(Duration.ofMillis(20), Duration.ofMillis(100))
                    .withKeepalive(SILENCE, Duration.ofMillis(300)))) {
      Recorder recorder = new Recorder();
      Session session = client.interact(slide(), SegmentOptions.defaults(), recorder);
      session.prompt("held", PromptRequest.of(Prompt.click(1, 1)));
      Collected collected = new Collected();
      PromptRequest request = PromptRequest.of(Prompt.click(2, 2));
      List<io.wsisam.client.segmentation.BatchItem> items =
          List.of(
              new io.wsisam.client.segmentation.BatchItem("a", request),
              new io.wsisam.client.segmentation.BatchItem("b", request));
      Batch batch = client.segmentBatch(slide(), items, SegmentOptions.defaults(), collected);
      AnnotationShape region =
          AnnotationShape.areas(List.of(new PolygonPart(new double[] {0, 0, 9, 0, 9, 9}, List.of())));
      Survey survey =
          client.survey(slide(), region, List.of(), ProposalFilter.ofSize(1, 2), SegmentOptions.defaults(), found -> {});
      assertTrue(Eventually.holds(Duration.ofSeconds(10), () -> service.held.get() == 3 && batch.done() == 1));

      long cut = System.nanoTime();
      relay.cut();
      service.patient = false;
      assertEquals(new SurveyResult(0, 5, 5, false), WsiSamClient.await(survey.result()));
      assertEquals("held", recorder.answer().objectId());
      assertEquals(new BatchResult(2, 0, false), WsiSamClient.await(batch.result()));
      assertTrue(System.nanoTime() - cut < 2 * SILENCE.toNanos());
      assertTrue(recorder.states.contains(SessionState.WAITING));
      assertEquals(SessionState.READY, session.state());
    } finally {
      server.shutdownNow();
    }
  }

  private static Slide slide() {
    SlideReference reference = SlideReference.of(List.of(URI.create("file:/slide.svs")), 100, 100, Double.NaN, null);
    return ImaginedSlides.of(reference);
  }

  /** Keeps prompts, the second item of a batch, and windows, as long as it is patient. */
  private static final class Holding extends SegmentationGrpc.SegmentationImplBase {
    private static final ByteString TOKEN = ByteString.copyFromUtf8("after two windows");

    private final AtomicInteger held = new AtomicInteger();
    private volatile boolean patient = true;

    @Override
    public StreamObserver<InteractRequest> interact(StreamObserver<InteractResponse> observer) {
      return new StreamObserver<>() {
        @Override
        public void onNext(InteractRequest request) {
          if (request.hasStart()) {
            observer.onNext(InteractResponse.newBuilder().setStarted(Started.getDefaultInstance()).build());
          } else if (patient) {
            held.incrementAndGet();
          } else if (request.hasPrompt()) {
            ObjectOutline.Builder outline =
                ObjectOutline.newBuilder()
                    .setObjectId(request.getPrompt().getObjectId())
                    .setRevision(request.getPrompt().getRevision());
            observer.onNext(InteractResponse.newBuilder().setOutline(outline).build());
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

    @Override
    public void segmentBatch(SegmentBatchRequest request, StreamObserver<SegmentBatchResponse> observer) {
      for (BatchItem item : request.getItemsList()) {
        if (patient && item.getId().equals("b")) {
          held.incrementAndGet();
          return;
        }
        observer.onNext(
            SegmentBatchResponse.newBuilder().setId(item.getId()).setOutline(Outline.getDefaultInstance()).build());
      }
      observer.onCompleted();
    }

    @Override
    public void segmentEverything(
        SegmentEverythingRequest request, StreamObserver<SegmentEverythingResponse> observer) {
      if (patient) {
        observer.onNext(
            SegmentEverythingResponse.newBuilder().setWindowsDone(2).setWindowsTotal(5).setResumeToken(TOKEN).build());
        held.incrementAndGet();
      } else if (request.getResumeToken().equals(TOKEN)) {
        observer.onNext(SegmentEverythingResponse.newBuilder().setWindowsDone(5).setWindowsTotal(5).build());
        observer.onCompleted();
      }
    }
  }
}
