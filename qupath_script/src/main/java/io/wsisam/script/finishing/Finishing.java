package io.wsisam.script.finishing;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import org.locationtech.jts.geom.Coordinate;
import org.locationtech.jts.geom.Geometry;
import org.locationtech.jts.geom.Point;
import org.locationtech.jts.geom.Polygon;
import org.locationtech.jts.geom.util.GeometryFixer;
import org.locationtech.jts.operation.overlayng.OverlayNG;
import org.locationtech.jts.operation.overlayng.OverlayNGRobust;

/**
 * Fits an outline between its neighbours.
 *
 * @param overlap with which annotations it may not overlap
 * @param inside whether it stays inside the annotation around it, and becomes its child
 */
public record Finishing(Overlap overlap, boolean inside) {
  /** An annotation is around an object when it is so many times as large, and holds more than half of it. */
  private static final double AROUND = 4;

  /** What is cut into parts keeps those of at least this share of the largest, where no click says which are meant. */
  private static final double STRAY = 0.1;

  /** Less, of the outline's area, is rounding. */
  private static final double NOTHING = 1e-9;

  /** Whether it does anything. */
  public boolean isOn() {
    return inside || overlap != Overlap.ALLOWED;
  }

  /**
   * Finishes an outline.
   *
   * @param outline valid, not empty; in level-0 pixels
   * @param clicks places that belong to the object, x and y each; may be empty
   * @param className the object's class; "" for none
   * @param others the annotations near it, without the object itself
   */
  public Finished finish(Geometry outline, List<double[]> clicks, String className, List<Neighbour> others) {
    List<Neighbour> around = others.stream().filter(one -> isAround(one, outline)).toList();
    Optional<Neighbour> parent =
        inside ? around.stream().min(Comparator.comparingDouble(one -> one.area().getArea())) : Optional.empty();
    Geometry area = outline;
    if (parent.isPresent()) {
      area = OverlayNGRobust.overlay(area, fixed(parent.get().area()), OverlayNG.INTERSECTION);
    }
    for (Neighbour one : others) {
      if (!around.contains(one) && isInTheWay(one, className) && one.area().getEnvelopeInternal().intersects(area.getEnvelopeInternal())) {
        area = OverlayNGRobust.overlay(area, fixed(one.area()), OverlayNG.DIFFERENCE);
      }
    }
    if (area == outline) {
      return new Finished(outline, parent.map(Neighbour::id).orElse(""), false, false);
    }
    Geometry left = meant(area, outline, clicks);
    String child = parent.map(Neighbour::id).orElse("");
    if (left.isEmpty() || !left.isValid()) {
      return new Finished(outline, "", false, true);
    }
    boolean cut = outline.getArea() - left.getArea() > NOTHING * outline.getArea();
    return new Finished(cut ? left : outline, child, cut, false);
  }

  private static boolean isAround(Neighbour one, Geometry outline) {
    return one.area().getArea() >= AROUND * outline.getArea()
        && one.area().getEnvelopeInternal().intersects(outline.getEnvelopeInternal())
        && OverlayNGRobust.overlay(fixed(one.area()), outline, OverlayNG.INTERSECTION).getArea()
            > outline.getArea() / 2;
  }

  private boolean isInTheWay(Neighbour one, String className) {
    return !one.region()
        && switch (overlap) {
          case ALLOWED -> false;
          case NOT_WITH_ITS_CLASS -> one.className().equals(className);
          case NONE -> true;
        };
  }

  /** Of what is left, the parts that are meant: those with a click, else all but stray ones. */
  private static Geometry meant(Geometry area, Geometry outline, List<double[]> clicks) {
    List<Polygon> parts = polygons(area, NOTHING * outline.getArea());
    double largest = parts.stream().mapToDouble(Geometry::getArea).max().orElse(0);
    List<Polygon> clicked = parts.stream().filter(part -> clicks.stream().anyMatch(at -> part.covers(point(part, at)))).toList();
    List<Polygon> kept =
        clicked.isEmpty() ? parts.stream().filter(part -> part.getArea() >= STRAY * largest).toList() : clicked;
    return kept.size() == 1
        ? kept.get(0)
        : outline.getFactory().createMultiPolygon(kept.toArray(Polygon[]::new));
  }

  private static Point point(Geometry like, double[] at) {
    return like.getFactory().createPoint(new Coordinate(at[0], at[1]));
  }

  private static List<Polygon> polygons(Geometry area, double least) {
    List<Polygon> found = new ArrayList<>();
    for (int n = 0; n < area.getNumGeometries(); n++) {
      if (area.getGeometryN(n) instanceof Polygon polygon && polygon.getArea() > least) {
        found.add(polygon);
      }
    }
    return found;
  }

  private static Geometry fixed(Geometry area) {
    return area.isValid() ? area : GeometryFixer.fix(area);
  }
}
