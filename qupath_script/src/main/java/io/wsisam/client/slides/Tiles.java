package io.wsisam.client.slides;

import java.awt.image.BufferedImage;
import java.awt.image.Raster;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.List;
import javax.imageio.ImageIO;

/** Images of any kind as 8-bit RGB of an exact size (pure). */
final class Tiles {
  private static final int CHANNELS = 3;
  private static final double FULL = 255;

  private Tiles() {}

  /**
   * An image as it is shown, as height x width x 3 bytes, rows from the top, scaled to exactly the size by the mean of
   * what each pixel covers.
   *
   * @param display how its channels are shown; empty: it is RGB or 8-bit grey
   * @throws IllegalArgumentException the image has more than 8 bits and no display, or fewer channels than the display
   */
  static byte[] rgb(BufferedImage image, List<ChannelDisplay> display, int width, int height) {
    float[] planes = display.isEmpty() ? shown(image) : shown(image.getRaster(), display);
    float[] scaled = scaled(planes, image.getWidth(), image.getHeight(), width, height);
    byte[] bytes = new byte[scaled.length];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) Math.round(Math.min(FULL, Math.max(0, scaled[i])));
    }
    return bytes;
  }

  /** The same bytes as PNG. */
  static byte[] png(byte[] rgb, int width, int height) throws IOException {
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    for (int i = 0; i < width * height; i++) {
      int pixel =
          (rgb[CHANNELS * i] & 0xff) << 16 | (rgb[CHANNELS * i + 1] & 0xff) << 8 | rgb[CHANNELS * i + 2] & 0xff;
      image.setRGB(i % width, i / width, pixel);
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ImageIO.write(image, "png", out);
    return out.toByteArray();
  }

  /** An RGB or grey image; what is transparent becomes white, as the background of a slide is. */
  private static float[] shown(BufferedImage image) {
    int bits = image.getSampleModel().getSampleSize(0);
    boolean packed = image.getType() == BufferedImage.TYPE_USHORT_565_RGB || image.getType() == BufferedImage.TYPE_USHORT_555_RGB;
    if (bits > Byte.SIZE && !packed) {
      throw new IllegalArgumentException(
          "the image has " + bits + " bits a channel, so it must be said which values are black and full");
    }
    int width = image.getWidth();
    int[] argb = image.getRGB(0, 0, width, image.getHeight(), null, 0, width);
    float[] planes = new float[argb.length * CHANNELS];
    for (int i = 0; i < argb.length; i++) {
      int alpha = argb[i] >>> 24;
      for (int c = 0; c < CHANNELS; c++) {
        int value = argb[i] >> (16 - 8 * c) & 0xff;
        planes[CHANNELS * i + c] = (float) ((value * alpha + FULL * (FULL - alpha)) / FULL);
      }
    }
    return planes;
  }

  private static float[] shown(Raster raster, List<ChannelDisplay> display) {
    int count = raster.getWidth() * raster.getHeight();
    float[] planes = new float[count * CHANNELS];
    double[] band = new double[count];
    for (ChannelDisplay channel : display) {
      if (channel.index() >= raster.getNumBands()) {
        throw new IllegalArgumentException(
            "the image has " + raster.getNumBands() + " channels, and channel " + channel.index() + " should be shown");
      }
      raster.getSamples(
          raster.getMinX(), raster.getMinY(), raster.getWidth(), raster.getHeight(), channel.index(), band);
      add(planes, band, channel);
    }
    return planes;
  }

  private static void add(float[] planes, double[] band, ChannelDisplay channel) {
    double range = channel.max() - channel.min();
    for (int i = 0; i < band.length; i++) {
      double value = (band[i] - channel.min()) / range;
      double part = value > 0 ? Math.min(1, value) : 0; // NaN, as in floating point images, is black
      for (int c = 0; c < CHANNELS; c++) {
        int full = channel.rgb() >> (16 - 8 * c) & 0xff;
        // Clipped at each channel, as a viewer does: two bright channels do not darken a third.
        planes[CHANNELS * i + c] = (float) Math.min(FULL, planes[CHANNELS * i + c] + part * full);
      }
    }
  }

  private static float[] scaled(float[] planes, int width, int height, int newWidth, int newHeight) {
    if (width == newWidth && height == newHeight) {
      return planes;
    }
    // One axis after the other: first along x for each row, then along y for each column.
    float[] narrow = new float[newWidth * height * CHANNELS];
    for (int y = 0; y < height; y++) {
      resample(planes, y * width * CHANNELS, CHANNELS, width, narrow, y * newWidth * CHANNELS, CHANNELS, newWidth);
    }
    float[] small = new float[newWidth * newHeight * CHANNELS];
    int row = newWidth * CHANNELS;
    for (int x = 0; x < newWidth; x++) {
      resample(narrow, x * CHANNELS, row, height, small, x * CHANNELS, row, newHeight);
    }
    return small;
  }

  /** Each new sample is the mean of what it covers of the old ones. */
  private static void resample(
      float[] from, int fromStart, int fromStep, int fromCount, float[] to, int toStart, int toStep, int toCount) {
    double ratio = (double) fromCount / toCount;
    for (int i = 0; i < toCount; i++) {
      double begin = i * ratio;
      double end = Math.min(fromCount, begin + ratio);
      for (int c = 0; c < CHANNELS; c++) {
        double sum = 0;
        for (int j = (int) begin; j < end; j++) {
          double covered = Math.min(end, j + 1) - Math.max(begin, j);
          sum += covered * from[fromStart + j * fromStep + c];
        }
        to[toStart + i * toStep + c] = (float) (sum / (end - begin));
      }
    }
  }
}
