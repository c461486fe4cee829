package io.wsisam.client.slides;

/**
 * A region whose pixels the server needs.
 *
 * @param x left edge, level-0 pixels
 * @param y top edge, level-0 pixels
 * @param width of the region, level-0 pixels
 * @param height of the region, level-0 pixels
 * @param tileWidth width at which the pixels are wanted
 * @param tileHeight height at which the pixels are wanted
 * @param downsample level-0 pixels per wanted pixel, at least 1
 */
public record PixelWindow(
    int x, int y, int width, int height, int tileWidth, int tileHeight, double downsample) {}
