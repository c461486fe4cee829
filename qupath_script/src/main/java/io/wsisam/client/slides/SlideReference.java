package io.wsisam.client.slides;

import java.net.URI;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Set;

/**
 * What is known here of an image: enough to open it on a server, and again on a server that was restarted.
 *
 * @param uris where it lies, as this computer sees it; those that a server may open first
 * @param width level-0 width in pixels
 * @param height level-0 height in pixels
 * @param mpp microns per level-0 pixel, where known; sent with each request, it counts where the server's file has none
 * @param pixels gives its pixels where the server cannot open it, or null: it is then opened by reference only
 */
public record SlideReference(
    List<String> uris, int width, int height, OptionalDouble mpp, PixelProvider pixels) {
  /** Checks the size. */
  public SlideReference {
    uris = List.copyOf(uris);
    if (width < 1 || height < 1) {
      throw new IllegalArgumentException("an image has at least one pixel, not " + width + " x " + height);
    }
    if (uris.isEmpty()) {
      throw new IllegalArgumentException("an image needs at least one URI to be named by");
    }
  }

  /**
   * From the data of an image server.
   *
   * @param uris its URIs; null ones and doubles fall out, file URIs come first, what follows ? or # is cut off
   * @param width level-0 width in pixels
   * @param height level-0 height in pixels
   * @param mppOrNaN microns per pixel; NaN, infinite or not positive: unknown
   * @param pixelsOrNull see {@link #pixels}
   */
  public static SlideReference of(
      Collection<? extends URI> uris, int width, int height, double mppOrNaN, PixelProvider pixelsOrNull) {
    Set<String> files = new LinkedHashSet<>();
    Set<String> others = new LinkedHashSet<>();
    for (URI uri : uris) {
      if (uri != null) {
        ("file".equalsIgnoreCase(uri.getScheme()) ? files : others).add(withoutQuery(uri));
      }
    }
    List<String> all = new ArrayList<>(files);
    all.addAll(others);
    if (all.isEmpty()) {
      all.add(""); // an image without a file, for example one that a script made: only its pixels can be sent
    }
    boolean known = mppOrNaN > 0 && Double.isFinite(mppOrNaN);
    return new SlideReference(
        all, width, height, known ? OptionalDouble.of(mppOrNaN) : OptionalDouble.empty(), pixelsOrNull);
  }

  private static String withoutQuery(URI uri) {
    // Not toString: characters beyond ASCII are then percent-encoded, as the server expects of a URI.
    return uri.toASCIIString().replaceFirst("[?#].*$", "");
  }
}
