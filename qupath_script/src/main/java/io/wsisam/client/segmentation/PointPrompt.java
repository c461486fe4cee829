package io.wsisam.client.segmentation;

/**
 * A click.
 *
 * @param x level-0 pixels
 * @param y level-0 pixels
 * @param positive whether it lies on the object; false: beside it
 * @param candidate the number of the candidate that was seen when it was set, of the answer to what was said before it; null
 *     for the chosen one
 */
public record PointPrompt(double x, double y, boolean positive, Integer candidate) {
  /** A click that goes on from the chosen candidate. */
  public PointPrompt(double x, double y, boolean positive) {
    this(x, y, positive, null);
  }
}
