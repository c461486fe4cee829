package io.wsisam.client.segmentation;

import java.util.ArrayList;
import java.util.List;

/**
 * All clicks and the box of one object.
 *
 * @param points clicks in their order
 * @param box a rough box, or null
 */
public record Prompt(List<PointPrompt> points, BoxPrompt box) {
  /** Copies the list. */
  public Prompt {
    points = List.copyOf(points);
  }

  /** A box alone. */
  public static Prompt box(double x0, double y0, double x1, double y1) {
    return new Prompt(List.of(), new BoxPrompt(x0, y0, x1, y1));
  }

  /** One positive click. */
  public static Prompt click(double x, double y) {
    return new Prompt(List.of(new PointPrompt(x, y, true)), null);
  }

  /** With one more click. */
  public Prompt withPoint(double x, double y, boolean positive) {
    List<PointPrompt> more = new ArrayList<>(points);
    more.add(new PointPrompt(x, y, positive));
    return new Prompt(more, box);
  }

  /** With another box; null for none. */
  public Prompt withBox(BoxPrompt newBox) {
    return new Prompt(points, newBox);
  }

  /** Whether a server answers it: it has a box or a positive click. */
  public boolean isSendable() {
    return box != null || points.stream().anyMatch(PointPrompt::positive);
  }

  /** Whether it only adds to an earlier prompt of the object: same box or a new one, same clicks first. */
  boolean extendsEarlier(Prompt earlier) {
    return points.size() >= earlier.points.size()
        && points.subList(0, earlier.points.size()).equals(earlier.points)
        && (earlier.box == null || earlier.box.equals(box));
  }
}
