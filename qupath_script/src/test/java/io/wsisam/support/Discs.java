package io.wsisam.support;

import io.wsisam.client.segmentation.Outline;
import io.wsisam.client.segmentation.PolygonPart;
import io.wsisam.client.segmentation.Prompt;
import io.wsisam.client.slides.PixelProvider;
import io.wsisam.client.slides.PixelWindow;
import io.wsisam.client.slides.SlideReference;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.geom.Ellipse2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import javax.imageio.ImageIO;

/** A slide made here: dark discs on a pale ground. What a box about one must find is known exactly. */
public final class Discs {
  public static final int WIDTH = 900;
  public static final int HEIGHT = 700;
  public static final double[][] ALL = {{200, 200, 60}, {600, 250, 90}, {350, 520, 45}};

  private Discs() {}

  /** The file that the shared server can open. */
  public static SlideReference reference() {
    return reference(SharedServer.discs().toUri(), null);
  }

  /** A slide with its pixels, or without (null). */
  public static SlideReference reference(URI uri, PixelProvider pixelsOrNull) {
    return SlideReference.of(List.of(uri), WIDTH, HEIGHT, Double.NaN, pixelsOrNull);
  }

  public static BufferedImage picture() {
    BufferedImage image = new BufferedImage(WIDTH, HEIGHT, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = image.createGraphics();
    graphics.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
    graphics.setColor(new Color(235, 205, 220));
    graphics.fillRect(0, 0, WIDTH, HEIGHT);
    graphics.setColor(new Color(120, 60, 130));
    for (double[] disc : ALL) {
      graphics.fill(new Ellipse2D.Double(disc[0] - disc[2], disc[1] - disc[2], 2 * disc[2], 2 * disc[2]));
    }
    graphics.dispose();
    Random random = new Random(0);
    for (int y = 0; y < HEIGHT; y++) {
      for (int x = 0; x < WIDTH; x++) {
        int noise = (int) (random.nextGaussian() * 4);
        Color colour = new Color(image.getRGB(x, y));
        image.setRGB(
            x, y, new Color(clip(colour.getRed() + noise), clip(colour.getGreen() + noise), clip(colour.getBlue() + noise)).getRGB());
      }
    }
    return image;
  }

  private static int clip(int value) {
    return Math.min(255, Math.max(0, value));
  }

  public static Path write(Path folder) {
    try {
      Path file = folder.resolve("discs.png");
      ImageIO.write(picture(), "png", file.toFile());
      return file;
    } catch (IOException failed) {
      throw new UncheckedIOException(failed);
    }
  }

  /** A box prompt about a disc. */
  public static Prompt around(int disc) {
    return around(disc, 6);
  }

  public static Prompt around(int disc, double margin) {
    double[] d = ALL[disc];
    double reach = d[2] + margin;
    return Prompt.box(d[0] - reach, d[1] - reach, d[0] + reach, d[1] + reach);
  }

  /** Agreement of an outline's bounds and area with a disc's, 0 to 1. */
  public static double agreement(Outline outline, int disc) {
    double[] d = ALL[disc];
    double wanted = Math.PI * d[2] * d[2];
    double[] bounds = outline.bounds();
    double shift =
        bounds.length == 0
            ? 1e9
            : Math.hypot((bounds[0] + bounds[2]) / 2 - d[0], (bounds[1] + bounds[3]) / 2 - d[1]);
    double area = area(outline);
    return shift > d[2] / 4 ? 0 : Math.min(area, wanted) / Math.max(area, wanted);
  }

  public static double area(Outline outline) {
    double area = 0;
    for (PolygonPart part : outline.parts()) {
      area += Math.abs(area(part.outer()));
      area -= part.holes().stream().mapToDouble(hole -> Math.abs(area(hole))).sum();
    }
    return area;
  }

  private static double area(double[] ring) {
    double sum = 0;
    for (int i = 0; i < ring.length; i += 2) {
      int j = (i + 2) % ring.length;
      sum += ring[i] * ring[j + 1] - ring[j] * ring[i + 1];
    }
    return sum / 2;
  }

  /** Reads the picture as a viewer would: the region, at the window's downsample. */
  public static PixelProvider provider() {
    BufferedImage whole = picture();
    return window -> region(whole, window);
  }

  public static BufferedImage region(BufferedImage whole, PixelWindow window) {
    return whole.getSubimage(window.x(), window.y(), window.width(), window.height());
  }
}
