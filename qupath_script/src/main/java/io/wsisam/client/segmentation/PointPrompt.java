package io.wsisam.client.segmentation;

/**
 * A click.
 *
 * @param x level-0 pixels
 * @param y level-0 pixels
 * @param positive whether it lies on the object; false: beside it
 */
public record PointPrompt(double x, double y, boolean positive) {}
