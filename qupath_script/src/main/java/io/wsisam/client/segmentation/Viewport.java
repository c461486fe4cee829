package io.wsisam.client.segmentation;

/**
 * What the annotator sees: the region [x0, x1) x [y0, y1), which may reach beyond the slide, and its scale.
 *
 * @param x0 left edge, level-0 pixels
 * @param y0 top edge, level-0 pixels
 * @param x1 right edge, level-0 pixels
 * @param y1 bottom edge, level-0 pixels
 * @param downsample level-0 pixels per screen pixel; below 1 when magnified
 */
public record Viewport(double x0, double y0, double x1, double y1, double downsample) {}
