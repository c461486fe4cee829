package io.wsisam.client.segmentation;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.client.slides.Lengths;
import io.wsisam.v1.MultiPolygon;
import io.wsisam.v1.OutlineOptions;
import io.wsisam.v1.Polygon;
import io.wsisam.v1.Ring;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Prompts and outlines. */
class SegmentationValuesTest {
  @Test
  void ringsAreDecodedWithTheirHoles() {
    Ring outer = Ring.newBuilder().addAllDeltas(List.of(6400, 3200, 320, 0, 0, 320)).build();
    Ring hole = Ring.newBuilder().addAllDeltas(List.of(6401, 3201, 32, 0, 0, -33)).build();
    MultiPolygon message =
        MultiPolygon.newBuilder()
            .addPolygons(Polygon.newBuilder().addRings(outer).addRings(hole))
            .addPolygons(Polygon.newBuilder().addRings(outer))
            .addPolygons(Polygon.getDefaultInstance())
            .build();
    List<PolygonPart> parts = SegmentationWire.parts(message);
    assertEquals(2, parts.size());
    assertArrayEquals(new double[] {200, 100, 210, 100, 210, 110}, parts.get(0).outer());
    assertArrayEquals(
        new double[] {200.03125, 100.03125, 201.03125, 100.03125, 201.03125, 99}, parts.get(0).holes().get(0));
    assertEquals(0, parts.get(1).holes().size());
    Outline outline =
        new Outline(parts, 1, new FieldWindow(0, 0, 1, 256), false, 1, false, 0, 0, "", "", new Timings(1, 2, 3, 4, 5, 0), List.of(), false, List.of(),
            List.of(), 0);
    assertEquals(9, outline.vertexCount());
    assertArrayEquals(new double[] {200, 100, 210, 110}, outline.bounds());
    assertEquals(15, outline.timings().totalMs());
  }

  @Test
  void aBorderIsRefinableWhereItsObjectIsTooLargeForAFinerWindow() {
    assertFalse(looked(false).isRefinable(1), "a server that does not refine");
    assertTrue(looked(false, 8).isRefinable(4));
    assertTrue(looked(false, 8).isRefinable(5));
    assertFalse(looked(false, 8).isRefinable(6), "the nearest scale is the field's own");
    assertFalse(looked(false, 8).isRefinable(16));
    assertTrue(looked(false, 8, 4).isRefinable(2));
    assertFalse(looked(false, 8, 4).isRefinable(4));
    assertFalse(looked(false, 32, 2).isRefinable(1), "a 16th of the field's scale is the finest");
    assertFalse(looked(true, 8, 4).isRefinable(1), "it met the limit");
    assertTrue(looked(true, 8, 4).isRefined());
    assertTrue(lookedIn(1024, false, 2).isRefinable(4), "four pixels of such a window make a cell of the mask");
    assertFalse(lookedIn(1024, false, 2).isRefinable(6));
    assertEquals(8, lookedIn(1024, false, 2).cell(new Level(2, 1)));
    assertFalse(looked(false, 8).isRefined());
  }

  private static Outline looked(boolean truncated, double... downsamples) {
    return lookedIn(256, truncated, downsamples);
  }

  private static Outline lookedIn(int size, boolean truncated, double... downsamples) {
    return new Outline(
        List.of(new PolygonPart(new double[] {0, 0, 9, 0, 9, 9}, List.of())), 1, new FieldWindow(0, 0, 8, size), false, 1, false,
        0, 0, "", "", new Timings(1, 2, 3, 4, 5, 0),
        Arrays.stream(downsamples).mapToObj(one -> new Level(one, 1)).toList(), truncated,
        List.of(), List.of(), 0);
  }

  @Test
  void aRingMayReachAcrossTheLargestSlide() {
    Ring wide = Ring.newBuilder().addAllDeltas(List.of(Integer.MAX_VALUE, 0, Integer.MIN_VALUE, 5, 1, 1)).build();
    double[] ring =
        SegmentationWire.parts(MultiPolygon.newBuilder().addPolygons(Polygon.newBuilder().addRings(wide)).build()).get(0).outer();
    assertEquals(Integer.MAX_VALUE / 32.0, ring[0]);
    assertEquals(-1 / 32.0, ring[2]);
  }

  @Test
  void aPromptIsSentWithAllThatWasSaid() {
    PolygonPart rough = new PolygonPart(new double[] {0, 0, 9, 0, 9.5, 9}, List.of());
    PointPrompt corrects = new PointPrompt(2, 3, false, 2);
    Prompt prompt = Prompt.shape(List.of(rough)).withPoint(corrects).withPoint(5, 5, true).meaning(0);
    io.wsisam.v1.Prompt message = SegmentationWire.prompt(prompt);
    assertEquals(2, message.getPoints(0).getCandidate());
    assertFalse(message.getPoints(1).hasCandidate());
    assertTrue(message.hasCandidate());
    Prompt read = SegmentationWire.prompt(message);
    assertEquals(prompt.points(), read.points());
    assertEquals(0, read.candidate());
    assertArrayEquals(rough.outer(), read.shape().get(0).outer());
    assertFalse(SegmentationWire.prompt(Prompt.click(1, 1)).hasShape());
    assertFalse(SegmentationWire.prompt(Prompt.click(1, 1)).hasCandidate());
  }

  @Test
  void optionsAreSentInTheServersUnitAndOnlyThoseThatAreSet() {
    assertEquals(
        OutlineOptions.getDefaultInstance(), SegmentationWire.options(SegmentOptions.defaults(), new Lengths(0.5)));
    SegmentOptions options =
        SegmentOptions.defaults()
            .withTolerance(2.0)
            .withMinArea(8.0)
            .withParts(PartsPolicy.ALL)
            .withHolesFilledBelow(40.0)
            .withSmoothing(6.0)
            .withPointsHonoured(false)
            .withCandidates(4);
    OutlineOptions all =
        OutlineOptions.newBuilder()
            .setTolerance(1)
            .setMinArea(2)
            .setParts(io.wsisam.v1.PartsPolicy.PARTS_POLICY_ALL)
            .setFillHolesBelow(10)
            .setSmoothing(3)
            .setHonourPoints(false)
            .setMaxCandidates(4)
            .build();
    assertEquals(all, SegmentationWire.options(options, new Lengths(0.5)));
    assertTrue(SegmentOptions.defaults().withSmoothing(1.0).hasLengths());
  }

  @Test
  void aRevisionSendsOptionsOnlyWhereTheyAreItsOwn() {
    SegmentOptions stream = SegmentOptions.defaults().withTolerance(2.0);
    PromptRequest request = PromptRequest.of(Prompt.click(1, 1));
    assertFalse(SegmentationWire.revision("a", 1, request, stream, new Lengths(1)).hasOptions());
    OutlineOptions own =
        SegmentationWire.revision("a", 2, request.withCandidates(3), stream, new Lengths(1)).getOptions();
    assertEquals(OutlineOptions.newBuilder().setTolerance(2).setMaxCandidates(3).build(), own);
  }

  @Test
  void aPromptNeedsABoxAShapeOrAPositivePoint() {
    assertTrue(Prompt.shape(List.of(new PolygonPart(new double[] {0, 0, 9, 0, 9, 9}, List.of()))).isSendable());
    assertFalse(new Prompt(List.of(), null).isSendable());
    assertFalse(new Prompt(List.of(new PointPrompt(1, 1, false)), null).isSendable());
    assertTrue(Prompt.click(1, 1).isSendable());
    Prompt box = Prompt.box(0, 0, 1, 1);
    assertTrue(box.withPoint(1, 1, false).isSendable());
    assertTrue(box.withPoint(1, 1, true).extendsEarlier(box));
    assertTrue(Prompt.click(1, 1).withBox(box.box()).extendsEarlier(Prompt.click(1, 1)));
    assertFalse(box.extendsEarlier(box.withPoint(1, 1, true)));
    assertFalse(Prompt.box(0, 0, 2, 2).extendsEarlier(box));
  }
}
