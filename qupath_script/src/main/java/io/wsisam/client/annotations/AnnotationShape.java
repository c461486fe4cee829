package io.wsisam.client.annotations;

import io.wsisam.client.segmentation.PolygonPart;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * Where an annotation is, in level-0 pixels.
 *
 * @param kind what the parts are
 * @param parts areas with their holes; of lines and points, {@link PolygonPart#outer} is the path and there is no hole
 */
public record AnnotationShape(Kind kind, List<PolygonPart> parts) {
  /** What a shape is made of. */
  public enum Kind {
    /** Areas with holes. */
    AREAS,
    /** Lines, one in each part. */
    LINES,
    /** Points, all in one part. */
    POINTS
  }

  /** Copies the list. */
  public AnnotationShape {
    Objects.requireNonNull(kind);
    parts = List.copyOf(parts);
  }

  /** Areas. */
  public static AnnotationShape areas(List<PolygonPart> parts) {
    return new AnnotationShape(Kind.AREAS, parts);
  }

  /** Lines: x0, y0, x1, y1, ... each. */
  public static AnnotationShape lines(List<double[]> lines) {
    List<PolygonPart> parts = new ArrayList<>();
    lines.forEach(line -> parts.add(new PolygonPart(line, List.of())));
    return new AnnotationShape(Kind.LINES, parts);
  }

  /** Points: x0, y0, x1, y1, ... */
  public static AnnotationShape points(double... vertices) {
    return new AnnotationShape(Kind.POINTS, List.of(new PolygonPart(vertices, List.of())));
  }
}
