package io.wsisam.client.segmentation;

/** A rough box about an object: [x0, x1) x [y0, y1) in level-0 pixels, x0 &lt; x1 and y0 &lt; y1. */
public record BoxPrompt(double x0, double y0, double x1, double y1) {
  /** The box of two opposite corners, in any order. */
  public static BoxPrompt between(double xa, double ya, double xb, double yb) {
    return new BoxPrompt(Math.min(xa, xb), Math.min(ya, yb), Math.max(xa, xb), Math.max(ya, yb));
  }
}
