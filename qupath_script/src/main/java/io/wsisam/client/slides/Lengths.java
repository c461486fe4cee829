package io.wsisam.client.slides;

import io.wsisam.v1.LengthUnit;
import java.util.OptionalDouble;

/**
 * How lengths are sent. A user gives them in the unit that the image has here: microns where its pixel size is known, else
 * level-0 pixels. The server takes them in its own: they are converted where the two are not the same, so that no number is ever
 * read in another unit than it was meant in.
 *
 * @param factor by which a user's length becomes one of the server's
 */
public record Lengths(double factor) {
  private static final Lengths SAME = new Lengths(1);

  /**
   * For a slide.
   *
   * @param here microns per pixel as the image has it here, if known
   * @param file microns per pixel as the server's file has it, if known
   * @param microns whether the server takes microns
   */
  public static Lengths of(OptionalDouble here, OptionalDouble file, boolean microns) {
    if (here.isPresent() == microns) {
      return SAME;
    }
    if (here.isPresent()) {
      return new Lengths(1 / here.getAsDouble());
    }
    return file.isPresent() ? new Lengths(file.getAsDouble()) : SAME;
  }

  /** For a slide, from the server's replies so far. */
  public static Lengths of(Slide slide) {
    return slide.lengths();
  }

  /**
   * Updates a slide from a reply, and says whether the server read these in another unit than they were meant in.
   *
   * @param slide that the request was about
   * @param unit that the reply names
   * @param hasSize whether the reply has a pixel size: a server of an earlier release sends none
   * @param size the reply's pixel size
   */
  public boolean misread(Slide slide, LengthUnit unit, boolean hasSize, io.wsisam.v1.PixelSize size) {
    slide.update(unit, SlideWire.pixelSize(hasSize, size));
    return !slide.lengths().equals(this);
  }

  public double length(double users) {
    return users * factor;
  }

  public double area(double users) {
    return users * factor * factor;
  }
}
