package io.wsisam.client.slides;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.okhttp.OkHttpServerBuilder;
import io.grpc.stub.StreamObserver;
import io.wsisam.client.WsiSamClient;
import io.wsisam.client.annotations.AnnotationShape;
import io.wsisam.client.segmentation.Batch;
import io.wsisam.client.segmentation.BatchItem;
import io.wsisam.client.segmentation.BatchResult;
import io.wsisam.client.segmentation.PolygonPart;
import io.wsisam.client.segmentation.Prompt;
import io.wsisam.client.segmentation.PromptRequest;
import io.wsisam.client.segmentation.ProposalFilter;
import io.wsisam.client.segmentation.SegmentOptions;
import io.wsisam.client.segmentation.Session;
import io.wsisam.client.segmentation.Survey;
import io.wsisam.support.Collected;
import io.wsisam.support.Recorder;
import io.wsisam.v1.InteractRequest;
import io.wsisam.v1.InteractResponse;
import io.wsisam.v1.LengthUnit;
import io.wsisam.v1.ObjectOutline;
import io.wsisam.v1.OpenSlideRequest;
import io.wsisam.v1.OpenSlideResponse;
import io.wsisam.v1.OutlineOptions;
import io.wsisam.v1.PixelSizeSource;
import io.wsisam.v1.SegmentBatchRequest;
import io.wsisam.v1.SegmentBatchResponse;
import io.wsisam.v1.SegmentEverythingRequest;
import io.wsisam.v1.SegmentEverythingResponse;
import io.wsisam.v1.SegmentRequest;
import io.wsisam.v1.SegmentResponse;
import io.wsisam.v1.SegmentationGrpc;
import io.wsisam.v1.Started;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Lengths mean the same here and on the server, whoever knows the pixel size, and of whichever release the server is. */
@Timeout(60)
class LengthsTest {
  private static final double UNKNOWN = Double.NaN;
  private static final SegmentOptions OPTIONS = new SegmentOptions("", 2.0, 8.0);

  private final BlockingQueue<Sent> sent = new LinkedBlockingQueue<>();
  private Server server;

  /** What a request said; 0 for what it did not say. */
  private record Sent(double mpp, double tolerance, double area, double smallest, double largest) {
    static Sent of(double mpp, OutlineOptions options) {
      return new Sent(mpp, options.getTolerance(), options.getMinArea(), 0, 0);
    }
  }

  @AfterEach
  void stop() {
    server.shutdownNow();
  }

  /** Asks in all four ways; what was sent last in each of them, which must be the same, and the size that the client tells of. */
  private PixelSize replied(double here, Sizes service, Sent first, Sent last) throws Exception {
    server =
        OkHttpServerBuilder.forPort(
                new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), InsecureServerCredentials.create())
            .addService(service)
            .build()
            .start();
    try (WsiSamClient client = WsiSamClient.connect("127.0.0.1:" + server.getPort())) {
      SlideReference reference = SlideReference.of(List.of(URI.create("file:/slide.svs")), 100, 100, here, null);
      PromptRequest click = PromptRequest.of(Prompt.click(1, 1));
      AnnotationShape region =
          AnnotationShape.areas(List.of(new PolygonPart(new double[] {0, 0, 9, 0, 9, 9}, List.of())));
      PixelSize size = null;
      for (int way = 0; way < 4; way++) {
        Slide slide = WsiSamClient.await(client.openSlide(reference));
        switch (way) {
          case 0 -> WsiSamClient.await(client.segment(slide, click, OPTIONS));
          case 1 -> {
            Batch batch =
                client.segmentBatch(slide, List.of(new BatchItem("a", click)), OPTIONS, new Collected());
            assertEquals(new BatchResult(1, 0, false), WsiSamClient.await(batch.result()));
          }
          case 2 -> {
            Recorder recorder = new Recorder();
            try (Session session = client.interact(slide, OPTIONS, recorder)) {
              session.prompt("a", click);
              recorder.answer();
              assertEquals(1, recorder.starts.size());
            }
          }
          default -> {
            Survey survey =
                client.survey(slide, region, List.of(), ProposalFilter.ofSize(4, 16), OPTIONS, found -> {});
            assertEquals(0, WsiSamClient.await(survey.result()).proposed());
          }
        }
        boolean sizes = way == 3;
        assertEquals(with(first, sizes), sent.take(), "way " + way);
        if (!first.equals(last)) {
          assertEquals(with(last, sizes), sent.take(), "way " + way);
        }
        assertTrue(sent.isEmpty());
        size = slide.pixelSize();
      }
      return size;
    }
  }

  private static Sent with(Sent sent, boolean sizes) {
    double factor = sent.tolerance() / OPTIONS.tolerance();
    return sizes ? new Sent(sent.mpp(), sent.tolerance(), sent.area(), 4 * factor, 16 * factor) : sent;
  }

  @Test
  void aPixelSizeThatIsKnownOnlyHereTravelsWithEachRequest() throws Exception {
    Sent microns = new Sent(0.5, 2, 8, 0, 0);
    PixelSize size = replied(0.5, new Sizes(0, true), microns, microns);
    assertEquals(0.5, size.mpp().orElseThrow());
    assertEquals("", size.warning());
  }

  @Test
  void aServerThatIgnoresItIsSentPixels() throws Exception {
    // 2 microns are 4 pixels of half a micron, 8 square microns are 32 of them.
    PixelSize size = replied(0.5, new Sizes(0, false), new Sent(0.5, 2, 8, 0, 0), new Sent(0.5, 4, 32, 0, 0));
    assertTrue(size.mpp().isEmpty());
  }

  @Test
  void theFilesCountsAndADifferenceIsSaid() throws Exception {
    Sent microns = new Sent(0.5, 2, 8, 0, 0);
    for (boolean tells : new boolean[] {true, false}) {
      PixelSize size = replied(0.5, new Sizes(0.25, tells), microns, microns);
      assertEquals(0.25, size.mpp().orElseThrow());
      assertEquals(
          "The file says that a pixel is 0.25 microns wide, the image that is open here 0.5. Lengths are taken with the"
              + " file's; one of the two is wrong.",
          size.warning());
      server.shutdownNow();
    }
  }

  @Test
  void aSmallDifferenceIsNotWorthAWord() throws Exception {
    Sent microns = new Sent(0.2505, 2, 8, 0, 0);
    assertEquals("", replied(0.2505, new Sizes(0.25, false), microns, microns).warning());
  }

  @Test
  void whereOnlyTheFileHasOneLengthsArePixelsHereAndAreSentAsMicrons() throws Exception {
    Sent converted = new Sent(0, 0.5, 0.5, 0, 0);
    replied(UNKNOWN, new Sizes(0.25, true), converted, converted);
  }

  @Test
  void whereNobodyKnowsLengthsArePixels() throws Exception {
    Sent pixels = new Sent(0, 2, 8, 0, 0);
    assertTrue(replied(UNKNOWN, new Sizes(0, true), pixels, pixels).mpp().isEmpty());
  }

  /** A server of this release, or of one that does not know of clients' pixel sizes. */
  private final class Sizes extends SegmentationGrpc.SegmentationImplBase {
    private final double file;
    private final boolean ofThisRelease;

    Sizes(double fileOrZero, boolean ofThisRelease) {
      file = fileOrZero;
      this.ofThisRelease = ofThisRelease;
    }

    private LengthUnit unit(double mpp) {
      return file > 0 || ofThisRelease && mpp > 0 ? LengthUnit.LENGTH_UNIT_MICRON : LengthUnit.LENGTH_UNIT_PIXEL;
    }

    private io.wsisam.v1.PixelSize size(double mpp) {
      io.wsisam.v1.PixelSize.Builder size = io.wsisam.v1.PixelSize.newBuilder();
      if (file > 0) {
        size.setMpp(file).setSource(PixelSizeSource.PIXEL_SIZE_SOURCE_SLIDE);
        if (mpp > 0) {
          size.setIgnoredMpp(mpp);
        }
      } else if (mpp > 0) {
        size.setMpp(mpp).setSource(PixelSizeSource.PIXEL_SIZE_SOURCE_CLIENT);
      }
      return size.build();
    }

    private io.wsisam.v1.Outline outline(double mpp) {
      io.wsisam.v1.Outline.Builder outline = io.wsisam.v1.Outline.newBuilder().setUnit(unit(mpp));
      return (ofThisRelease ? outline.setPixelSize(size(mpp)) : outline).build();
    }

    @Override
    public void openSlide(OpenSlideRequest request, StreamObserver<OpenSlideResponse> observer) {
      OpenSlideResponse.Builder opened = OpenSlideResponse.newBuilder().setSlideId("id").setWidth(100).setHeight(100);
      observer.onNext((file > 0 ? opened.setMpp(file) : opened).build());
      observer.onCompleted();
    }

    @Override
    public void segment(SegmentRequest request, StreamObserver<SegmentResponse> observer) {
      sent.add(Sent.of(request.getMpp(), request.getOptions()));
      observer.onNext(SegmentResponse.newBuilder().setOutline(outline(request.getMpp())).build());
      observer.onCompleted();
    }

    @Override
    public void segmentBatch(SegmentBatchRequest request, StreamObserver<SegmentBatchResponse> observer) {
      sent.add(Sent.of(request.getMpp(), request.getOptions()));
      request
          .getItemsList()
          .forEach(
              item ->
                  observer.onNext(
                      SegmentBatchResponse.newBuilder()
                          .setId(item.getId())
                          .setOutline(outline(request.getMpp()))
                          .build()));
      observer.onCompleted();
    }

    @Override
    public StreamObserver<InteractRequest> interact(StreamObserver<InteractResponse> observer) {
      return new StreamObserver<>() {
        private double mpp;

        @Override
        public void onNext(InteractRequest request) {
          InteractResponse.Builder response = InteractResponse.newBuilder();
          if (request.hasStart()) {
            mpp = request.getStart().getMpp();
            sent.add(Sent.of(mpp, request.getStart().getOptions()));
            Started.Builder started = Started.newBuilder().setUnit(unit(mpp));
            observer.onNext(response.setStarted(ofThisRelease ? started.setPixelSize(size(mpp)) : started).build());
          } else if (request.hasPrompt()) {
            ObjectOutline.Builder outline =
                ObjectOutline.newBuilder()
                    .setObjectId(request.getPrompt().getObjectId())
                    .setRevision(request.getPrompt().getRevision())
                    .setOutline(outline(mpp));
            observer.onNext(response.setOutline(outline).build());
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
    public void segmentEverything(
        SegmentEverythingRequest request, StreamObserver<SegmentEverythingResponse> observer) {
      OutlineOptions options = request.getOptions();
      sent.add(
          new Sent(
              request.getMpp(),
              options.getTolerance(),
              options.getMinArea(),
              request.getFilter().getMinSize(),
              request.getFilter().getMaxSize()));
      SegmentEverythingResponse.Builder response =
          SegmentEverythingResponse.newBuilder().setUnit(unit(request.getMpp()));
      observer.onNext((ofThisRelease ? response.setPixelSize(size(request.getMpp())) : response).build());
      observer.onCompleted();
    }
  }
}
