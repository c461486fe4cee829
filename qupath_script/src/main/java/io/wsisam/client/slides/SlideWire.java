package io.wsisam.client.slides;

import io.wsisam.v1.LengthUnit;
import io.wsisam.v1.PixelSizeSource;
import io.wsisam.v1.PixelSource;
import io.wsisam.v1.PixelsNeeded;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;

/** Slides and their pixels as messages of the contract, and back. */
public final class SlideWire {
  private SlideWire() {}

  static PixelSource source(SlideReference reference) {
    PixelSource.Builder message =
        PixelSource.newBuilder().setWidth(reference.width()).setHeight(reference.height());
    reference.mpp().ifPresent(message::setMpp);
    return message.build();
  }

  static io.wsisam.v1.PixelWindow window(PixelWindow window) {
    return io.wsisam.v1.PixelWindow.newBuilder()
        .setX(window.x())
        .setY(window.y())
        .setWidth(window.width())
        .setHeight(window.height())
        .setTileWidth(window.tileWidth())
        .setTileHeight(window.tileHeight())
        .setDownsample(window.downsample())
        .build();
  }

  public static List<PixelWindow> windows(PixelsNeeded needed) {
    List<PixelWindow> windows = new ArrayList<>();
    for (io.wsisam.v1.PixelWindow window : needed.getWindowsList()) {
      windows.add(
          new PixelWindow(
              window.getX(),
              window.getY(),
              window.getWidth(),
              window.getHeight(),
              window.getTileWidth(),
              window.getTileHeight(),
              window.getDownsample()));
    }
    return windows;
  }

  public static boolean inMicrons(LengthUnit unit) {
    return unit == LengthUnit.LENGTH_UNIT_MICRON;
  }

  /** Null when a reply has none: the server is of an earlier release. */
  static PixelSize pixelSize(boolean there, io.wsisam.v1.PixelSize message) {
    return there
        ? new PixelSize(
            message.hasMpp() ? OptionalDouble.of(message.getMpp()) : OptionalDouble.empty(),
            message.getSource() == PixelSizeSource.PIXEL_SIZE_SOURCE_SLIDE,
            message.hasIgnoredMpp() ? OptionalDouble.of(message.getIgnoredMpp()) : OptionalDouble.empty())
        : null;
  }
}
