package io.wsisam.client.slides;

import java.awt.image.BufferedImage;
import java.util.List;

/** Gives the pixels of an image that the server cannot open. Called on a thread of its own: it may block. */
@FunctionalInterface
public interface PixelProvider {
  /**
   * An image of exactly the window's region, of about {@code tileWidth} x {@code tileHeight} pixels: the client scales
   * it to that and converts it to 8-bit RGB.
   *
   * @throws Exception any: the prompts that wait for the window fail with PIXELS_FAILED and its message
   */
  BufferedImage read(PixelWindow window) throws Exception;

  /** How the channels of an image that is not RGB are shown; empty: it is RGB or 8-bit grey. Asked at each window. */
  default List<ChannelDisplay> display() {
    return List.of();
  }
}
