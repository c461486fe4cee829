package io.wsisam.client.segmentation;

import java.util.List;

/**
 * One connected part of an outline. A ring is x0, y0, x1, y1, ... in level-0 pixels; its first vertex is not repeated
 * at its end; it has at least three.
 *
 * @param outer the outer border
 * @param holes the holes, perhaps none
 */
public record PolygonPart(double[] outer, List<double[]> holes) {
  /** Copies the list. */
  public PolygonPart {
    holes = List.copyOf(holes);
  }
}
