package io.wsisam.client.slides;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.OptionalDouble;

/**
 * The pixel size that lengths on a slide are taken with. The file's own counts; where it has none, that of the image here does.
 *
 * @param mpp microns per level-0 pixel, the mean of x and y; empty: lengths are level-0 pixels
 * @param ofTheFile whether the file says so; false: the image that is open here, or nobody
 * @param ignored the image's here, where the file says another one that differs by more than 2 %; it is not used
 */
public record PixelSize(OptionalDouble mpp, boolean ofTheFile, OptionalDouble ignored) {
  private static final double SAME = 0.02;
  private static final MathContext SHOWN = new MathContext(4);

  static PixelSize unknown() {
    return new PixelSize(OptionalDouble.empty(), false, OptionalDouble.empty());
  }

  /** As the server of any release takes it, from what was said when the slide was opened. */
  static PixelSize of(OptionalDouble file, OptionalDouble here) {
    if (file.isEmpty()) {
      return new PixelSize(here, false, OptionalDouble.empty());
    }
    boolean differs = here.isPresent() && Math.abs(here.getAsDouble() - file.getAsDouble()) > SAME * file.getAsDouble();
    return new PixelSize(file, true, differs ? here : OptionalDouble.empty());
  }

  /** What a user must know of it; empty when there is nothing. */
  public String warning() {
    if (ignored.isEmpty() || mpp.isEmpty()) {
      return "";
    }
    return "The file says that a pixel is %s microns wide, the image that is open here %s. Lengths are taken with the file's; one of the two is wrong."
        .formatted(shown(mpp.getAsDouble()), shown(ignored.getAsDouble()));
  }

  private static String shown(double size) {
    return BigDecimal.valueOf(size).round(SHOWN).stripTrailingZeros().toPlainString();
  }
}
