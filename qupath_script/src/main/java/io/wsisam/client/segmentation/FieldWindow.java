package io.wsisam.client.segmentation;

/**
 * The square patch that the model read.
 *
 * @param x left edge, level-0 pixels
 * @param y top edge, level-0 pixels
 * @param downsample level-0 pixels per patch pixel
 * @param size side in patch pixels
 */
public record FieldWindow(double x, double y, double downsample, int size) {}
