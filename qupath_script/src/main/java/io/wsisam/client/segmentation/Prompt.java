package io.wsisam.client.segmentation;

import java.util.ArrayList;
import java.util.List;

/**
 * All that was said about one object: clicks, a box, a rough outline.
 *
 * @param points clicks in their order
 * @param box a rough box, or null
 * @param shape a rough outline, perhaps crossing itself; empty for none. Prompts with the same one share its list
 * @param candidate the number of the candidate of the answer that is meant; null for the one of the highest score
 */
public record Prompt(List<PointPrompt> points, BoxPrompt box, List<PolygonPart> shape, Integer candidate) {
  /** Copies the lists. */
  public Prompt {
    points = List.copyOf(points);
    shape = List.copyOf(shape);
  }

  /** Clicks and a box. */
  public Prompt(List<PointPrompt> points, BoxPrompt box) {
    this(points, box, List.of(), null);
  }

  /** A box alone. */
  public static Prompt box(double x0, double y0, double x1, double y1) {
    return new Prompt(List.of(), new BoxPrompt(x0, y0, x1, y1));
  }

  /** One positive click. */
  public static Prompt click(double x, double y) {
    return new Prompt(List.of(new PointPrompt(x, y, true)), null);
  }

  /** A rough outline alone. */
  public static Prompt shape(List<PolygonPart> shape) {
    return new Prompt(List.of(), null, shape, null);
  }

  /** With one more click. */
  public Prompt withPoint(double x, double y, boolean positive) {
    return withPoint(new PointPrompt(x, y, positive));
  }

  /** With one more click; which candidate of its answer is meant is open again. */
  public Prompt withPoint(PointPrompt point) {
    List<PointPrompt> more = new ArrayList<>(points);
    more.add(point);
    return new Prompt(more, box, shape, null);
  }

  /** With another box; null for none. Which candidate of its answer is meant is open again. */
  public Prompt withBox(BoxPrompt newBox) {
    return new Prompt(points, newBox, shape, null);
  }

  /** With another rough outline; empty for none. Which candidate of its answer is meant is open again. */
  public Prompt withShape(List<PolygonPart> newShape) {
    return new Prompt(points, box, newShape, null);
  }

  /** With a candidate of its answer that is meant; null for the one of the highest score. */
  public Prompt meaning(Integer newCandidate) {
    return new Prompt(points, box, shape, newCandidate);
  }

  /** Whether one click is all that was said, which may mean more than one object. */
  public boolean isSingleClick() {
    return points.size() == 1 && box == null && shape.isEmpty();
  }

  /** Whether a server answers it: it has a box, a shape or a positive click. */
  public boolean isSendable() {
    return box != null || !shape.isEmpty() || points.stream().anyMatch(PointPrompt::positive);
  }

  /** Whether it only adds to an earlier prompt of the object: same box and shape or new ones, same clicks first. */
  boolean extendsEarlier(Prompt earlier) {
    return points.size() >= earlier.points.size()
        && points.subList(0, earlier.points.size()).equals(earlier.points)
        && (earlier.box == null || earlier.box.equals(box))
        && (earlier.shape.isEmpty() || earlier.shape.equals(shape));
  }
}
