package io.wsisam.client.slides;

/**
 * How one channel of an image that is not RGB is shown: linear from {@code min} (black) to {@code max} (the full
 * colour). The colours of the channels add up. This is what a viewer's brightness and contrast mean.
 *
 * @param index band of the image's raster
 * @param min value that is black
 * @param max value that is the full colour; greater than min
 * @param rgb colour as 0xRRGGBB
 */
public record ChannelDisplay(int index, double min, double max, int rgb) {
  /** Checks the range. */
  public ChannelDisplay {
    if (index < 0) {
      throw new IllegalArgumentException("a channel's index is not negative: " + index);
    }
    if (!(Double.isFinite(min) && Double.isFinite(max) && max > min)) {
      throw new IllegalArgumentException(
          "channel " + index + " is shown from " + min + " to " + max + ": the second must be greater");
    }
  }
}
