package io.wsisam.client.slides;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.wsisam.client.WsiSamClient;
import io.wsisam.client.connection.ClientReason;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.segmentation.Batch;
import io.wsisam.client.segmentation.BatchItem;
import io.wsisam.client.segmentation.BatchResult;
import io.wsisam.client.segmentation.Failure;
import io.wsisam.client.segmentation.FieldChoice;
import io.wsisam.client.segmentation.Outline;
import io.wsisam.client.segmentation.Prompt;
import io.wsisam.client.segmentation.PromptRequest;
import io.wsisam.client.segmentation.Refinement;
import io.wsisam.client.segmentation.SegmentOptions;
import io.wsisam.client.segmentation.Session;
import io.wsisam.client.segmentation.SessionState;
import io.wsisam.client.segmentation.Stage;
import io.wsisam.support.Collected;
import io.wsisam.support.Discs;
import io.wsisam.support.RealServer;
import io.wsisam.support.Recorder;
import io.wsisam.support.SharedServer;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Slides that only the client can open, against the real server. */
@Timeout(300)
class PixelModeTest {
  private static final URI NOWHERE = URI.create("file:/only/here/slide.svs");

  private final AtomicInteger reads = new AtomicInteger();
  private final PixelProvider discs = Discs.provider();
  private final PixelProvider counted =
      window -> {
        reads.incrementAndGet();
        assertEquals("wsisam-pixels", Thread.currentThread().getName());
        return discs.read(window);
      };
  private WsiSamClient client;

  @BeforeEach
  void connect() {
    client = WsiSamClient.connect(SharedServer.get().address());
  }

  @AfterEach
  void close() throws InterruptedException {
    client.close();
    assertTrue(client.awaitClosed(java.time.Duration.ofSeconds(10)));
  }

  private Slide open(PixelProvider provider) {
    Slide slide = WsiSamClient.await(client.openSlide(Discs.reference(NOWHERE, provider)));
    assertTrue(slide.byPixels());
    return slide;
  }

  @Test
  void aClosedSlideIsFreedOnTheServerAndNotOpenedAgain() throws InterruptedException {
    Slide slide = open(counted);
    Recorder recorder = new Recorder();
    Session session = client.interact(slide, SegmentOptions.defaults(), recorder);
    session.prompt("disc", PromptRequest.of(Discs.around(0)));
    assertTrue(Discs.agreement(recorder.answer().outline(), 0) > 0.9);
    WsiSamClient.await(client.closeSlide(slide));
    WsiSamClient.await(client.closeSlide(slide));
    assertTrue(slide.isClosed());
    WsiSamException error =
        assertThrows(
            WsiSamException.class,
            () -> WsiSamClient.await(client.segment(slide, PromptRequest.of(Discs.around(1)), SegmentOptions.defaults())));
    assertEquals(ClientReason.SLIDE_CLOSED, error.reason());
    session.prompt("late", PromptRequest.of(Discs.around(0)));
    assertEquals(ClientReason.SLIDE_CLOSED, recorder.failure().error().reason());
    assertEquals(SessionState.FAILED, session.state());
    // One that the server reads itself is everybody's: it is closed here alone.
    Slide file = WsiSamClient.await(client.openSlide(Discs.reference()));
    WsiSamClient.await(client.closeSlide(file));
    Slide again = WsiSamClient.await(client.openSlide(Discs.reference()));
    assertEquals(file.id(), again.id());
  }

  @Test
  void aSinglePromptSendsItsPixels() {
    Slide slide = open(counted);
    for (int disc = 0; disc < 3; disc++) {
      Outline outline =
          WsiSamClient.await(client.segment(slide, PromptRequest.of(Discs.around(disc)), SegmentOptions.defaults())).outline();
      assertTrue(Discs.agreement(outline, disc) > 0.9);
    }
    assertTrue(reads.get() > 0);
  }

  @Test
  void aSessionIsAskedForEachWindowOnce() throws InterruptedException {
    Recorder recorder = new Recorder();
    Session session = client.interact(open(counted), SegmentOptions.defaults(), recorder);
    session.prompt("disc", PromptRequest.of(Discs.around(0)));
    assertTrue(Discs.agreement(recorder.answer().outline(), 0) > 0.9);
    int once = reads.get();
    session.prompt("disc", PromptRequest.of(Discs.around(0).withPoint(200, 200, true)));
    recorder.answer();
    assertEquals(once, reads.get());
    assertTrue(recorder.stages.contains(Stage.WAITING_FOR_PIXELS));
    assertEquals(List.of(), recorder.warnings);
  }

  @Test
  void aBorderIsRefinedWithThePixelsOfItsWindows() throws InterruptedException {
    Recorder recorder = new Recorder();
    Session session = client.interact(open(counted), SegmentOptions.defaults(), recorder);
    PromptRequest coarse = PromptRequest.of(Discs.around(1)).in(FieldChoice.downsample(8));
    session.prompt("disc", coarse);
    recorder.answer();
    int once = reads.get();
    session.prompt("disc", coarse.refined(Refinement.to(1)));
    assertTrue(recorder.answer().outline().isRefined());
    assertTrue(reads.get() > once);
    assertEquals(List.of(), recorder.warnings);
  }

  @Test
  void pixelsThatCannotBeReadFailThePromptAndTheNextTryReadsAgain() throws InterruptedException {
    AtomicBoolean broken = new AtomicBoolean(true);
    PixelProvider flaky =
        window -> {
          if (broken.get()) {
            throw new IOException("the disk is gone");
          }
          return counted.read(window);
        };
    Recorder recorder = new Recorder();
    Session session = client.interact(open(flaky), SegmentOptions.defaults(), recorder);
    session.prompt("disc", PromptRequest.of(Discs.around(0)));
    Failure failure = recorder.failure();
    assertEquals(ClientReason.PIXELS_FAILED, failure.error().reason());
    assertTrue(failure.error().text().contains("the disk is gone"));
    broken.set(false);
    session.prompt("disc", PromptRequest.of(Discs.around(0)));
    assertTrue(Discs.agreement(recorder.answer().outline(), 0) > 0.9);
    assertEquals(2, recorder.counts.size());
  }

  @Test
  void aBatchSendsPixelsAndReportsTheOnesThatCannotBeRead() {
    PixelProvider leftOnly =
        window -> {
          if (window.x() > 450) {
            throw new IOException("only the left half can be read");
          }
          return counted.read(window);
        };
    List<BatchItem> items = new ArrayList<>();
    IntStream.range(0, 9).forEach(i -> items.add(new BatchItem("left " + i, PromptRequest.of(Discs.around(0, 4 + i)))));
    Collected collected = new Collected();
    Batch all = client.segmentBatch(open(counted), items, SegmentOptions.defaults(), collected);
    assertEquals(new BatchResult(9, 0, false), WsiSamClient.await(all.result()));
    assertTrue(Discs.agreement(collected.answers.get("left 0").outline(), 0) > 0.85);
    Collected failing = new Collected();
    List<BatchItem> right = List.of(new BatchItem("right", PromptRequest.of(Prompt.box(800, 300, 850, 350))));
    Batch none = client.segmentBatch(open(leftOnly), right, SegmentOptions.defaults(), failing);
    assertEquals(new BatchResult(0, 1, false), WsiSamClient.await(none.result()));
    assertEquals(ClientReason.PIXELS_FAILED, failing.failures.get("right").error().reason());
  }

  @Test
  void aReaderThatGivesNothingIsAClearError() {
    Slide slide = open(window -> null);
    WsiSamException error =
        assertThrows(
            WsiSamException.class,
            () -> WsiSamClient.await(client.segment(slide, PromptRequest.of(Discs.around(0)), SegmentOptions.defaults())));
    assertEquals(ClientReason.PIXELS_FAILED, error.reason());
  }

  @Test
  void sixteenBitChannelsAreShownAsTheViewerShowsThem() {
    BufferedImage whole = Discs.picture();
    PixelProvider fluorescence =
        new PixelProvider() {
          @Override
          public BufferedImage read(PixelWindow window) {
            BufferedImage rgb = Discs.region(whole, window);
            BufferedImage grey =
                new BufferedImage(rgb.getWidth(), rgb.getHeight(), BufferedImage.TYPE_USHORT_GRAY);
            for (int y = 0; y < rgb.getHeight(); y++) {
              for (int x = 0; x < rgb.getWidth(); x++) {
                grey.getRaster().setSample(x, y, 0, 1000 + 8 * (255 - (rgb.getRGB(x, y) >> 8 & 0xff)));
              }
            }
            return grey;
          }

          @Override
          public List<ChannelDisplay> display() {
            return List.of(new ChannelDisplay(0, 1000, 3000, 0x00ff00));
          }
        };
    SegmentOptions options = SegmentOptions.defaults().withModel(RealServer.MODEL); // the discs are bright here
    Outline outline = WsiSamClient.await(client.segment(open(fluorescence), PromptRequest.of(Discs.around(1)), options)).outline();
    assertTrue(Discs.agreement(outline, 1) > 0.85);
  }
}
