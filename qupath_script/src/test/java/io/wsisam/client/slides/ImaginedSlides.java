package io.wsisam.client.slides;

import java.util.OptionalDouble;

/** Slides that no server has opened. */
public final class ImaginedSlides {
  private ImaginedSlides() {}

  /** One of 100 x 100 pixels. */
  public static Slide of(SlideReference reference) {
    return new Slide(reference, new Slide.Opened("id", 100, 100, OptionalDouble.empty(), false, "file:/slide.svs"));
  }
}
