package io.wsisam.client;

import java.util.OptionalDouble;

/** An image that is open on the server. It stays usable when the server is restarted: it is then opened again. */
public final class Slide {
  /**
   * What the server said when it opened the image.
   *
   * @param uri which of the reference's names it was
   */
  record Opened(String id, int width, int height, OptionalDouble mpp, boolean byPixels, String uri) {}

  private final SlideReference reference;
  private volatile Opened opened;

  Slide(SlideReference reference, Opened opened) {
    this.reference = reference;
    this.opened = opened;
  }

  /** What it was opened from. */
  public SlideReference reference() {
    return reference;
  }

  /** Level-0 width in pixels. */
  public int width() {
    return opened.width();
  }

  /** Level-0 height in pixels. */
  public int height() {
    return opened.height();
  }

  /** Microns per level-0 pixel as the server knows it. */
  public OptionalDouble mpp() {
    return opened.mpp();
  }

  /** Whether the server reads this image's pixels from here; false: it opened the file itself. */
  public boolean byPixels() {
    return opened.byPixels();
  }

  /** The server's present name of it. */
  public String id() {
    return opened.id();
  }

  /**
   * What annotations name the slide by: the server's name of a file, which stays; for a slide by pixels, whose name
   * there is random, its URI here.
   */
  public String annotationKey() {
    return byPixels() ? reference.uris().get(0) : id();
  }

  void reopened(Opened again) {
    opened = again;
  }

  @Override
  public String toString() {
    return "Slide[" + opened.uri() + ", " + width() + " x " + height() + (byPixels() ? ", by pixels]" : "]");
  }
}
