package io.wsisam.client.annotations;

import java.util.List;

/**
 * A slide that holds annotations which the caller may see.
 *
 * @param slideId as in {@link StoredAnnotation#slideId}
 * @param uris where it was seen: first where it was seen first, then the newest
 * @param width of level 0, in pixels; 0 when unknown
 * @param height of level 0, in pixels; 0 when unknown
 * @param annotations how many there are; deleted ones do not count
 * @param revision the newest revision that any of them has; a deletion counts
 */
public record StoredSlide(String slideId, List<String> uris, int width, int height, long annotations, long revision) {
  /** Copies the list. */
  public StoredSlide {
    uris = List.copyOf(uris);
  }
}
