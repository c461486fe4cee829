package io.wsisam.script.finishing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.locationtech.jts.geom.Coordinate;
import org.locationtech.jts.geom.Geometry;
import org.locationtech.jts.geom.GeometryFactory;

class FinishingTest {
  private static final GeometryFactory FACTORY = new GeometryFactory();
  private static final Finishing ALONE = new Finishing(Overlap.NONE, false);
  private static final Finishing OF_ITS_CLASS = new Finishing(Overlap.NOT_WITH_ITS_CLASS, false);
  private static final Finishing INSIDE = new Finishing(Overlap.ALLOWED, true);
  private static final Finishing ALL = new Finishing(Overlap.NONE, true);

  private static Geometry box(double x0, double y0, double x1, double y1) {
    return FACTORY.createPolygon(
        new Coordinate[] {
          new Coordinate(x0, y0), new Coordinate(x1, y0), new Coordinate(x1, y1), new Coordinate(x0, y1), new Coordinate(x0, y0)
        });
  }

  private static Neighbour tumor(String id, Geometry area) {
    return new Neighbour(id, area, "Tumor", false);
  }

  private static Finished finish(Finishing how, Geometry outline, Neighbour... others) {
    return how.finish(outline, List.of(), "Tumor", List.of(others));
  }

  @Test
  void itDoesNotOverlapWithItsNeighbour() {
    Finished done = finish(ALONE, box(0, 0, 10, 10), tumor("n", box(8, 0, 20, 10)));
    assertEquals(80, done.area().getArea(), 1e-9);
    assertTrue(done.cut());
    assertEquals("", done.parent());
  }

  @Test
  void anotherClassIsInTheWayOnlyOfAll() {
    Neighbour stroma = new Neighbour("n", box(8, 0, 20, 10), "Stroma", false);
    assertEquals(80, finish(ALONE, box(0, 0, 10, 10), stroma).area().getArea(), 1e-9);
    assertEquals(100, finish(OF_ITS_CLASS, box(0, 0, 10, 10), stroma).area().getArea(), 1e-9);
  }

  @Test
  void switchedOffItIsTheVeryOutline() {
    Geometry outline = box(0, 0, 10, 10);
    Finishing off = new Finishing(Overlap.ALLOWED, false);
    assertFalse(off.isOn());
    assertSame(outline, finish(off, outline, tumor("n", box(8, 0, 20, 10)), tumor("p", box(-50, -50, 9, 50))).area());
  }

  @Test
  void itStaysInsideTheAnnotationAroundItAndBecomesItsChild() {
    Finished done = finish(INSIDE, box(0, 0, 10, 10), tumor("far", box(-90, -90, 99, 99)), tumor("p", box(-50, -50, 9, 50)));
    assertEquals(90, done.area().getArea(), 1e-9);
    assertEquals("p", done.parent());
  }

  @Test
  void whatIsAroundItIsNotInItsWay() {
    Finished done = finish(ALL, box(0, 0, 10, 10), tumor("p", box(-50, -50, 50, 50)), tumor("n", box(8, 0, 20, 10)));
    assertEquals(80, done.area().getArea(), 1e-9);
    assertEquals("p", done.parent());
  }

  @Test
  void whatOnlyTouchesIsNotAroundIt() {
    assertEquals("", finish(INSIDE, box(0, 0, 10, 10), tumor("p", box(9, -50, 90, 50))).parent());
  }

  @Test
  void aRegionMayBeAroundItAndIsNeverInItsWay() {
    Neighbour region = new Neighbour("r", box(8, 0, 20, 10), "Region*", true);
    assertEquals(100, finish(ALONE, box(0, 0, 10, 10), region).area().getArea(), 1e-9);
  }

  @Test
  void whenNothingWouldBeLeftItIsAsItWas() {
    Finished done = finish(ALONE, box(0, 0, 10, 10), tumor("n", box(-1, -1, 11, 11)));
    assertTrue(done.nothingLeft());
    assertEquals(100, done.area().getArea(), 1e-9);
  }

  @Test
  void ofWhatIsCutInTwoTheClickedPartStays() {
    Neighbour across = tumor("n", box(-5, 3, 15, 4));
    Finished done = ALONE.finish(box(0, 0, 10, 10), List.of(new double[] {5, 1}), "Tumor", List.of(across));
    assertEquals(30, done.area().getArea(), 1e-9);
    assertEquals(90, finish(ALONE, box(0, 0, 10, 10), across).area().getArea(), 1e-9);
  }

  @Test
  void aNeighbourThatCrossesItselfIsMended() {
    Geometry tie =
        FACTORY.createPolygon(
            new Coordinate[] {
              new Coordinate(8, 0), new Coordinate(12, 10), new Coordinate(12, 0), new Coordinate(8, 10), new Coordinate(8, 0)
            });
    Finished done = finish(ALONE, box(0, 0, 10, 10), tumor("n", tie));
    assertTrue(done.area().isValid());
    assertTrue(done.area().getArea() < 100);
  }

  /** Whatever lies about it: valid, not empty, and not over what is in its way. */
  @Test
  void neverEmptyNeverInvalid() {
    Random random = new Random(3);
    for (int round = 0; round < 500; round++) {
      List<Neighbour> others = new ArrayList<>();
      for (int n = 0; n < random.nextInt(8); n++) {
        double x = random.nextDouble() * 60 - 30;
        double y = random.nextDouble() * 60 - 30;
        Geometry disc = FACTORY.createPoint(new Coordinate(x, y)).buffer(1 + random.nextDouble() * 25);
        others.add(new Neighbour("n" + n, disc, random.nextBoolean() ? "Tumor" : "Stroma", false));
      }
      Geometry outline = FACTORY.createPoint(new Coordinate(0, 0)).buffer(5 + random.nextDouble() * 10);
      Finished done = ALL.finish(outline, List.of(new double[] {0, 0}), "Tumor", others);
      assertFalse(done.area().isEmpty());
      assertTrue(done.area().isValid());
      assertTrue(outline.buffer(1e-6).covers(done.area()));
      if (!done.nothingLeft()) {
        for (Neighbour one : others) {
          double shared = one.area().intersection(done.area()).getArea();
          boolean around = one.area().getArea() >= 4 * outline.getArea() && one.area().intersection(outline).getArea() > outline.getArea() / 2;
          assertTrue(around || shared < 1e-6 * outline.getArea(), () -> "overlaps by " + shared);
        }
      }
    }
  }
}
