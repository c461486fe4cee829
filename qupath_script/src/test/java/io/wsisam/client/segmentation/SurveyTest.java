package io.wsisam.client.segmentation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.client.WsiSamClient;
import io.wsisam.client.annotations.AnnotationShape;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.slides.Slide;
import io.wsisam.client.slides.SlideReference;
import io.wsisam.support.Discs;
import io.wsisam.support.SharedServer;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** All objects in a region, against the real server with the model that outlines dark parts. */
@Timeout(300)
class SurveyTest {
  private static final ProposalFilter DISCS = ProposalFilter.ofSize(80, 200);
  private WsiSamClient client;

  @BeforeEach
  void connect() {
    client = WsiSamClient.connect(SharedServer.get().address());
  }

  @AfterEach
  void close() throws InterruptedException {
    client.close();
    assertTrue(client.awaitClosed(Duration.ofSeconds(10)));
  }

  private static AnnotationShape box(double x0, double y0, double x1, double y1) {
    return AnnotationShape.areas(List.of(new PolygonPart(new double[] {x0, y0, x1, y0, x1, y1, x0, y1}, List.of())));
  }

  private static AnnotationShape around(int disc) {
    double[] d = Discs.ALL[disc];
    return box(d[0] - d[2], d[1] - d[2], d[0] + d[2], d[1] + d[2]);
  }

  @Test
  void eachDiscIsFoundOnceAndNoneWhereOneIs() {
    for (SlideReference reference :
        List.of(Discs.reference(), Discs.reference(URI.create("file:/only/here.svs"), Discs.provider()))) {
      Slide slide = WsiSamClient.await(client.openSlide(reference));
      List<PromptResult> found = new ArrayList<>();
      List<Integer> progress = new ArrayList<>();
      Survey survey =
          client.survey(
              slide,
              box(0, 0, 900, 700),
              List.of(around(1)),
              DISCS,
              SegmentOptions.defaults(),
              new SurveyListener() {
                @Override
                public void onProposal(PromptResult answer) {
                  found.add(answer);
                }

                @Override
                public void onProgress(int done, int total) {
                  progress.add(done);
                }
              });
      SurveyResult result = WsiSamClient.await(survey.result());
      assertFalse(result.cancelled());
      assertEquals(2, result.proposed());
      assertEquals(result.total(), result.done());
      assertEquals(result.total() + 1, progress.size());
      for (int disc : new int[] {0, 2}) {
        assertEquals(1, found.stream().filter(answer -> Discs.agreement(answer.outline(), disc) > 0.9).count());
      }
    }
  }

  @Test
  void itCanBeCancelled() {
    Slide slide = WsiSamClient.await(client.openSlide(Discs.reference()));
    CompletableFuture<Void> begun = new CompletableFuture<>();
    SurveyListener listener =
        new SurveyListener() {
          @Override
          public void onProposal(PromptResult answer) {}

          @Override
          public void onProgress(int done, int total) {
            begun.complete(null);
          }
        };
    ProposalFilter small = ProposalFilter.ofSize(4, 12);
    Survey survey =
        client.survey(slide, box(0, 0, 900, 700), List.of(), small, SegmentOptions.defaults(), listener);
    WsiSamClient.await(begun);
    survey.cancel();
    SurveyResult result = WsiSamClient.await(survey.result());
    assertTrue(result.cancelled());
    assertTrue(result.done() < result.total());
  }

  @Test
  void whatIsWrongIsSaid() {
    Slide slide = WsiSamClient.await(client.openSlide(Discs.reference()));
    Survey tooSmall =
        client.survey(
            slide,
            box(0, 0, 900, 700),
            List.of(),
            ProposalFilter.ofSize(1, 2),
            SegmentOptions.defaults(),
            answer -> {});
    WsiSamException error = assertThrows(WsiSamException.class, () -> WsiSamClient.await(tooSmall.result()));
    assertEquals("REGION_TOO_LARGE", error.reason());
    assertThrows(
        IllegalArgumentException.class,
        () ->
            client.survey(
                slide, AnnotationShape.points(5, 5), List.of(), DISCS, SegmentOptions.defaults(), answer -> {}));
  }
}
