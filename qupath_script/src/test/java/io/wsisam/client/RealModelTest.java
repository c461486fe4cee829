package io.wsisam.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.wsisam.client.segmentation.Outline;
import io.wsisam.client.segmentation.Prompt;
import io.wsisam.client.segmentation.PromptRequest;
import io.wsisam.client.segmentation.PromptResult;
import io.wsisam.client.segmentation.SegmentOptions;
import io.wsisam.client.segmentation.Session;
import io.wsisam.client.segmentation.Viewport;
import io.wsisam.client.slides.Slide;
import io.wsisam.client.slides.SlideReference;
import io.wsisam.support.RealServer;
import io.wsisam.support.Recorder;
import io.wsisam.support.SharedServer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The real model; where ../shared/data (or $WSISAM_SHARED/data) has it, on a real biopsy: CMU-1-Small-Region. */
@Timeout(300)
class RealModelTest extends ModelContract {
  private static final String NEEDED = "needs ../shared/data/wsi/CMU-1-Small-Region.svs";

  RealModelTest() {
    super(SegmentOptions.defaults().withModel(RealServer.MODEL));
  }

  @Test
  void structuresOfARealSlideAreOutlinedInMicrons() throws Exception {
    Path slide = SharedServer.realSlides().resolve("CMU-1-Small-Region.svs");
    if (!Files.exists(slide)) {
      System.out.println("1 test not run: " + NEEDED);
    }
    assumeTrue(Files.exists(slide), NEEDED);
    try (WsiSamClient client = WsiSamClient.connect(SharedServer.get().address())) {
      SlideReference reference = SlideReference.of(List.of(slide.toUri()), 2220, 2967, 0.499, null);
      Slide open = WsiSamClient.await(client.openSlide(reference));
      assertFalse(open.byPixels());
      assertEquals(0.499, open.mpp().orElseThrow(), 1e-6);
      Recorder recorder = new Recorder();
      Session session = client.interact(open, options, recorder);
      Viewport all = new Viewport(0, 0, 2220, 2967, 2);
      session.prompt("one", PromptRequest.of(Prompt.box(1180, 1960, 1365, 2190)).from(all));
      Outline first = recorder.answer().outline();
      assertTrue(first.inMicrons());
      assertTrue(first.score() > 0.5, "score " + first.score());
      double[] bounds = first.bounds();
      assertTrue(bounds[0] > 1150 && bounds[1] > 1930 && bounds[2] < 1395 && bounds[3] < 2220);
      // The same field is warm now: a corrected prompt costs no encoder run.
      session.prompt("one", PromptRequest.of(Prompt.box(1180, 1960, 1365, 2190).withPoint(1270, 2075, true)).from(all));
      PromptResult second = recorder.answer();
      assertEquals(first.window(), second.outline().window());
      assertEquals(0, second.outline().timings().encoderRuns());
    }
  }
}
