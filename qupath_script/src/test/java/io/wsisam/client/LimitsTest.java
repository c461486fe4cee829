package io.wsisam.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.client.connection.ClientOptions;
import io.wsisam.client.segmentation.Failure;
import io.wsisam.client.segmentation.PromptRequest;
import io.wsisam.client.segmentation.SegmentOptions;
import io.wsisam.client.segmentation.Session;
import io.wsisam.client.slides.Slide;
import io.wsisam.support.Discs;
import io.wsisam.support.RealServer;
import io.wsisam.support.Recorder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A server that lets one user send, and wait for, only little: what it does not take is sent again, not lost. */
@Timeout(120)
class LimitsTest {
  private static final int PROMPTS = 30;

  @TempDir static Path folder;

  @Test
  void promptsThatComeTooFastAreAllAnswered() throws Exception {
    all("messages_per_second_per_user = 20", "message_burst_per_user = 8");
  }

  @Test
  void promptsThatAreTooManyAreAllAnswered() throws Exception {
    all("queued_prompts_per_user = 16");
  }

  @Test
  void whatIsNeverTakenFailsWithItsReasonWhenItsTimeIsOver() throws Exception {
    try (RealServer server = server("messages_per_second_per_user = 1", "message_burst_per_user = 3");
        WsiSamClient client =
            WsiSamClient.connect(ClientOptions.to(server.address()).withAnswerTimeout(Duration.ofSeconds(2)))) {
      Recorder recorder = new Recorder();
      Session session = client.interact(open(client), SegmentOptions.defaults(), recorder);
      for (int number = 0; number < PROMPTS; number++) {
        session.prompt("object " + number, PromptRequest.of(Discs.around(0, 6)));
      }
      int failed = 0;
      for (int number = 0; number < PROMPTS; number++) {
        failed += recorder.next() instanceof Failure ? 1 : 0;
      }
      assertTrue(failed >= PROMPTS / 2, "answered: " + (PROMPTS - failed));
      assertEquals(0, session.unanswered());
    }
  }

  private static void all(String... limits) throws Exception {
    try (RealServer server = server(limits);
        WsiSamClient client = WsiSamClient.connect(server.address())) {
      Recorder recorder = new Recorder();
      Session session = client.interact(open(client), SegmentOptions.defaults(), recorder);
      Set<String> answered = new HashSet<>();
      for (int number = 0; number < PROMPTS; number++) {
        session.prompt("object " + number, PromptRequest.of(Discs.around(0, 6)));
      }
      while (answered.size() < PROMPTS) {
        answered.add(recorder.answer().objectId());
      }
      assertEquals(0, session.unanswered());
    }
  }

  private static RealServer server(String... limits) throws Exception {
    Path slides = Files.createDirectories(folder.resolve("slides"));
    Discs.write(slides);
    Path file = Files.writeString(folder.resolve("wsisam.toml"), "[limits]\n" + String.join("\n", limits) + "\n");
    return RealServer.startWith(List.of("--config", file.toString()), slides);
  }

  private static Slide open(WsiSamClient client) {
    return WsiSamClient.await(
        client.openSlide(Discs.reference(folder.resolve("slides/discs.png").toUri(), null)));
  }
}
