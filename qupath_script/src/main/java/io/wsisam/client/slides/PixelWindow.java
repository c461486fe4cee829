package io.wsisam.client.slides;

/**
 * A region whose pixels the server needs.
 *
 * @param x left edge, level-0 pixels
 * @param y top edge, level-0 pixels
 * @param width of the region, level-0 pixels
 * @param height of the region, level-0 pixels
 * @param tileWidth width of the pixels to send
 * @param tileHeight height of the pixels to send
 * @param downsample level-0 pixels per pixel to send, at least 1
 */
public record PixelWindow(
    int x, int y, int width, int height, int tileWidth, int tileHeight, double downsample) {}
