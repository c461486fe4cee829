package io.wsisam.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.client.segmentation.Outline;
import io.wsisam.client.segmentation.PromptRequest;
import io.wsisam.client.segmentation.SegmentOptions;
import io.wsisam.client.segmentation.Session;
import io.wsisam.client.segmentation.SessionInfo;
import io.wsisam.client.slides.Slide;
import io.wsisam.support.Discs;
import io.wsisam.support.Recorder;
import io.wsisam.support.SharedServer;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** What these tests take for granted of a model, whether it is the real one or the one that stands in for it. */
abstract class ModelContract {
  final SegmentOptions options;

  ModelContract(SegmentOptions options) {
    this.options = options;
  }

  @Test
  void theServerListsIt() {
    try (WsiSamClient client = WsiSamClient.connect(SharedServer.get().address())) {
      ServerInfo info = WsiSamClient.await(client.info());
      assertEquals(Health.SERVING, info.health());
      ModelInfo model =
          info.models().stream().filter(one -> one.name().equals(options.model())).findAny().or(info::defaultModel).orElseThrow();
      assertTrue(model.isInstalled());
      assertTrue(model.imageSize() >= 256);
      assertEquals(64, model.weightsHash().length());
    }
  }

  @Test
  void aBoxIsAnsweredByTheObjectInItAndRefinedInTheSameWindow() throws InterruptedException {
    try (WsiSamClient client = WsiSamClient.connect(SharedServer.get().address())) {
      Slide slide = WsiSamClient.await(client.openSlide(Discs.reference()));
      Recorder recorder = new Recorder();
      Session session = client.interact(slide, options, recorder);
      SessionInfo info = recorder.starts.poll(60, TimeUnit.SECONDS);
      assertNotNull(info);
      assertFalse(info.inMicrons());
      session.prompt("disc", PromptRequest.of(Discs.around(0)));
      Outline one = recorder.answer().outline();
      assertTrue(Discs.agreement(one, 0) > 0.9);
      assertTrue(one.score() > 0.5 && !one.cutByField());
      session.prompt("disc", PromptRequest.of(Discs.around(0).withPoint(200, 200, true)));
      Outline two = recorder.answer().outline();
      assertTrue(Discs.agreement(two, 0) > 0.85);
      assertEquals(one.window(), two.window());
      assertEquals(0, two.timings().encoderRuns());
      assertEquals(info.weightsHash(), two.weightsHash());
    }
  }
}
