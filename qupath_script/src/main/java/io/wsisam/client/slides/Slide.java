package io.wsisam.client.slides;

import io.wsisam.v1.LengthUnit;
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
  private volatile LengthUnit unit = LengthUnit.LENGTH_UNIT_UNSPECIFIED;
  private volatile PixelSize repliedSize;
  private volatile boolean closed;
  private volatile String contentKey;

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

  /** Microns per level-0 pixel as the server's file says; empty where it does not. */
  public OptionalDouble mpp() {
    return opened.mpp();
  }

  /** The pixel size that lengths are taken with, from the server's replies so far. */
  public PixelSize pixelSize() {
    PixelSize replied = repliedSize;
    if (replied != null) {
      return replied;
    }
    boolean inPixels = unit == LengthUnit.LENGTH_UNIT_PIXEL;
    return inPixels ? PixelSize.unknown() : PixelSize.of(opened.mpp(), reference.mpp());
  }

  /** How lengths are sent, from the server's replies so far. It is taken for one that uses the pixel size which it is sent. */
  Lengths lengths() {
    boolean known = opened.mpp().isPresent() || reference.mpp().isPresent();
    boolean microns = unit == LengthUnit.LENGTH_UNIT_UNSPECIFIED ? known : SlideWire.inMicrons(unit);
    return Lengths.of(reference.mpp(), opened.mpp(), microns);
  }

  /** Updates what is known of lengths from a reply: their unit, and the pixel size or null. */
  void update(LengthUnit inReply, PixelSize inReplyOrNull) {
    if (inReply == LengthUnit.LENGTH_UNIT_MICRON || inReply == LengthUnit.LENGTH_UNIT_PIXEL) {
      unit = inReply;
    }
    if (inReplyOrNull != null) {
      repliedSize = inReplyOrNull;
    }
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
   * What annotations name the slide by: the server's name of a file, which stays. A slide by pixels has a random name there:
   * it is named by what its file here holds, as the server would name it, or by its URI where that cannot be read.
   */
  public String annotationKey() {
    if (!byPixels()) {
      return id();
    }
    if (contentKey == null) {
      String uri = reference.uris().get(0);
      String content = SlideFiles.fingerprint(uri);
      contentKey = content == null ? uri : content;
    }
    return contentKey;
  }

  /** Whether it was closed here, after which it cannot be asked about any more. */
  public boolean isClosed() {
    return closed;
  }

  void close() {
    closed = true;
  }

  void reopened(Opened again) {
    opened = again;
    unit = LengthUnit.LENGTH_UNIT_UNSPECIFIED; // perhaps of another release by now
    repliedSize = null;
  }

  @Override
  public String toString() {
    return "Slide[" + opened.uri() + ", " + width() + " x " + height() + (byPixels() ? ", by pixels]" : "]");
  }
}
