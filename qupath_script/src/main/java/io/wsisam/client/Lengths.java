package io.wsisam.client;

import java.util.OptionalDouble;

/**
 * How lengths are sent. A user gives them in the unit that the image has here: microns where its pixel size is known, else
 * level-0 pixels. The server takes them in its own: they are converted where the two are not the same, so that no number is ever
 * read in another unit than it was meant in.
 *
 * @param factor by which a user's length becomes one of the server's
 */
record Lengths(double factor) {
  private static final Lengths SAME = new Lengths(1);

  /**
   * For a slide.
   *
   * @param here microns per pixel as the image has it here, if known
   * @param file microns per pixel as the server's file has it, if known
   * @param microns whether the server takes microns
   */
  static Lengths of(OptionalDouble here, OptionalDouble file, boolean microns) {
    if (here.isPresent() == microns) {
      return SAME;
    }
    if (here.isPresent()) {
      return new Lengths(1 / here.getAsDouble());
    }
    return file.isPresent() ? new Lengths(file.getAsDouble()) : SAME;
  }

  double length(double users) {
    return users * factor;
  }

  double area(double users) {
    return users * factor * factor;
  }
}
