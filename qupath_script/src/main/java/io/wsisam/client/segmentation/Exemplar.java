package io.wsisam.client.segmentation;

import io.wsisam.client.slides.Slide;
import java.util.List;
import java.util.Objects;
import java.util.UUID;

/**
 * An object that shows what is looked for, or what is not. It has either areas or the id of a stored annotation.
 *
 * @param areas level-0 pixels of its slide; empty where it is a stored annotation
 * @param annotationId of a stored annotation that the caller may see; null where it has areas
 * @param slide on which its areas lie, opened by the same client and read by the server itself; null for the one that is searched
 * @param positive whether it is of the kind that is looked for; else it resembles that and is not meant
 * @param className name of its class, which proposals get that resemble it; "" for none, or the annotation's own
 */
public record Exemplar(
    List<PolygonPart> areas, UUID annotationId, Slide slide, boolean positive, String className) {
  /** Checks it. */
  public Exemplar {
    areas = List.copyOf(areas);
    if (areas.isEmpty() == (annotationId == null)) {
      throw new IllegalArgumentException("an exemplar has either areas or the id of an annotation");
    }
    Objects.requireNonNull(className);
  }

  /** An object of the kind that is looked for, on the slide that is searched. */
  public static Exemplar of(List<PolygonPart> areas) {
    return new Exemplar(areas, null, null, true, "");
  }

  /** A stored annotation, of this slide or of another one that is open on the server. */
  public static Exemplar stored(UUID annotationId) {
    return new Exemplar(List.of(), annotationId, null, true, "");
  }

  /** On another slide. */
  public Exemplar on(Slide other) {
    return new Exemplar(areas, annotationId, other, positive, className);
  }

  /** As something that is not meant. */
  public Exemplar negative() {
    return new Exemplar(areas, annotationId, slide, false, className);
  }

  /** Of a class. */
  public Exemplar ofClass(String name) {
    return new Exemplar(areas, annotationId, slide, positive, name);
  }
}
