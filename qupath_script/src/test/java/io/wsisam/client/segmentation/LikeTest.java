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
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** All that looks like exemplars, against the real server with the model that outlines dark parts. */
@Timeout(300)
class LikeTest {
  private static final AnnotationShape WHOLE = box(0, 0, Discs.WIDTH, Discs.HEIGHT);
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

  private static List<PolygonPart> disc(int number) {
    double[] d = Discs.ALL[number];
    double[] ring = new double[48];
    for (int i = 0; i < 24; i++) {
      ring[2 * i] = d[0] + d[2] * Math.cos(i * Math.PI / 12);
      ring[2 * i + 1] = d[1] + d[2] * Math.sin(i * Math.PI / 12);
    }
    return List.of(new PolygonPart(ring, List.of()));
  }

  /** What a search tells. */
  private static final class Told implements LikeListener {
    final List<LikeProposal> proposals = new ArrayList<>();
    final List<Likeness> likenesses = new ArrayList<>();
    final List<Integer> progress = new ArrayList<>();

    @Override
    public void onProposal(LikeProposal proposal) {
      assertFalse(likenesses.isEmpty());
      proposals.add(proposal);
    }

    @Override
    public void onProgress(int done, int total) {
      progress.add(done);
    }

    @Override
    public void onLikeness(Likeness likeness) {
      likenesses.add(likeness);
    }

    Likeness last() {
      return likenesses.get(likenesses.size() - 1);
    }

    boolean has(int disc) {
      return proposals.stream().anyMatch(one -> Discs.agreement(one.result().outline(), disc) > 0.5);
    }
  }

  private Told find(Slide slide, Double minSimilarity, Exemplar... exemplars) {
    Told told = new Told();
    Survey search =
        client.findLike(slide, WHOLE, List.of(), List.of(exemplars), minSimilarity, SegmentOptions.defaults(), told);
    SurveyResult result = WsiSamClient.await(search.result());
    assertFalse(result.cancelled());
    assertEquals(told.proposals.size(), result.proposed());
    assertEquals(result.total() + 1, told.progress.size());
    return told;
  }

  private Slide discs() {
    return WsiSamClient.await(client.openSlide(Discs.reference()));
  }

  @Test
  void whatLooksLikeADiscIsFoundWithItsClassAndHowSureThatIs() {
    for (SlideReference reference :
        List.of(Discs.reference(), Discs.reference(URI.create("file:/only/here.svs"), Discs.provider()))) {
      Slide slide = WsiSamClient.await(client.openSlide(reference));
      Told told = find(slide, null, Exemplar.of(disc(0)).ofClass("Disc"));
      assertTrue(told.has(1) || told.has(2));
      assertFalse(told.has(0));
      assertTrue(told.proposals.stream().allMatch(one -> one.className().equals("Disc")));
      assertTrue(told.proposals.stream().allMatch(one -> one.similarity() > 0 && one.similarity() <= 1));
      assertTrue(told.likenesses.get(0).expectedPrecision().isEmpty());
      assertTrue(told.last().expectedPrecision().isPresent());
      assertTrue(told.last().minSize() < 120 && 120 < told.last().maxSize());
    }
  }

  @Test
  void sizesAreInTheUsersUnit() {
    SlideReference file = Discs.reference();
    SlideReference inMicrons =
        SlideReference.of(List.of(SharedServer.discs().toUri()), Discs.WIDTH, Discs.HEIGHT, 0.5, null);
    Likeness pixels = find(WsiSamClient.await(client.openSlide(file)), null, Exemplar.of(disc(0))).last();
    Likeness microns = find(WsiSamClient.await(client.openSlide(inMicrons)), null, Exemplar.of(disc(0))).last();
    assertEquals(pixels.minSize() / 2, microns.minSize(), 0.01);
  }

  @Test
  void whatWasRejectedIsNotProposedAgain() {
    Slide slide = discs();
    Told first = find(slide, 0.0, Exemplar.of(disc(0)));
    assertTrue(first.has(2));
    Told second = find(slide, 0.0, Exemplar.of(disc(0)), Exemplar.of(disc(2)).negative());
    assertFalse(second.has(2));
  }

  @Test
  void exemplarsMayLieOnAnotherSlide() throws IOException {
    Path other = SharedServer.discs().resolveSibling("other.png");
    BufferedImage picture = Discs.picture();
    picture.setRGB(0, 0, 0xffffff); // another file is another slide
    ImageIO.write(picture, "png", other.toFile());
    Slide shown =
        WsiSamClient.await(
            client.openSlide(SlideReference.of(List.of(other.toUri()), Discs.WIDTH, Discs.HEIGHT, Double.NaN, null)));
    Slide slide = discs();
    assertFalse(shown.id().equals(slide.id()));
    Told told = find(slide, null, Exemplar.of(disc(1)).on(shown));
    assertTrue(told.has(1)); // here, nothing says that it is there
  }

  @Test
  void aSlideThatOnlyThisClientCanReadIsNoneToShowExemplarsOn() {
    Slide pushed =
        WsiSamClient.await(client.openSlide(Discs.reference(URI.create("file:/only/here.svs"), Discs.provider())));
    Survey search = begun(Exemplar.of(disc(0)).on(pushed));
    WsiSamException error = assertThrows(WsiSamException.class, () -> WsiSamClient.await(search.result()));
    assertEquals("INVALID_FIELD", error.reason());
    assertTrue(error.getMessage().contains("pixel mode"), error.getMessage());
  }

  @Test
  void whatIsWrongIsSaid() {
    for (Exemplar exemplar : List.of(Exemplar.of(disc(0)).negative(), Exemplar.of(box(-90, -90, -10, -10).parts()))) {
      Survey search = begun(exemplar);
      WsiSamException error = assertThrows(WsiSamException.class, () -> WsiSamClient.await(search.result()));
      assertEquals("INVALID_FIELD", error.reason());
    }
    Survey unknown = begun(Exemplar.stored(UUID.randomUUID()));
    WsiSamException error = assertThrows(WsiSamException.class, () -> WsiSamClient.await(unknown.result()));
    assertEquals("ANNOTATION_NOT_FOUND", error.reason());
    assertThrows(IllegalArgumentException.class, () -> begun());
    assertThrows(IllegalArgumentException.class, () -> Exemplar.of(List.of()));
  }

  private Survey begun(Exemplar... exemplars) {
    return client.findLike(
        discs(), WHOLE, List.of(), List.of(exemplars), null, SegmentOptions.defaults(), proposal -> {});
  }
}
