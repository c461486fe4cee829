package io.wsisam.client.annotations;

import io.wsisam.client.segmentation.PromptResult;
import io.wsisam.client.slides.Slide;
import java.time.Instant;
import java.util.Map;
import java.util.Objects;

/**
 * One annotation as of one revision. What is read can be changed by the {@code with} methods and saved as it then is.
 *
 * @param id UUID; the object's id in QuPath
 * @param revision the change that made it so, or, when it is saved, the one that the change was made to; 0: a new one
 * @param slideId see {@link Slide#annotationKey}
 * @param shape where it is
 * @param className its class with its parents, for example "Tumor: Positive"; "" for none
 * @param classRgb the class's colour, 0xRRGGBB, or null
 * @param rgb its own colour in place of its class's, or null
 * @param name what QuPath's list shows; may be empty
 * @param project what it belongs to; may be empty
 * @param locked whether it is kept from being edited by accident
 * @param measurements finite numbers by name
 * @param metadata texts by key
 * @param provenance how a model made it; null: a person drew it
 * @param author who made this revision; the server's
 * @param createTime when its first revision was stored; the server's, null before
 * @param updateTime when this revision was stored; the server's, null before
 * @param deleted whether this revision is a deletion; the server's
 */
public record StoredAnnotation(
    String id,
    long revision,
    String slideId,
    AnnotationShape shape,
    String className,
    Integer classRgb,
    Integer rgb,
    String name,
    String project,
    boolean locked,
    Map<String, Double> measurements,
    Map<String, String> metadata,
    Provenance provenance,
    String author,
    Instant createTime,
    Instant updateTime,
    boolean deleted) {
  /** Copies the maps. */
  public StoredAnnotation {
    Objects.requireNonNull(id, "id");
    Objects.requireNonNull(slideId, "slideId");
    Objects.requireNonNull(shape, "shape");
    measurements = Map.copyOf(measurements);
    metadata = Map.copyOf(metadata);
  }

  /** A new one that a person drew. */
  public static StoredAnnotation drawn(String id, String slideId, AnnotationShape shape) {
    return new StoredAnnotation(
        id, 0, slideId, shape, "", null, null, "", "", false, Map.of(), Map.of(), null, "", null, null, false);
  }

  /** A new one that a model made. */
  public static StoredAnnotation of(String id, Slide slide, PromptResult result) {
    return drawn(id, slide.annotationKey(), AnnotationShape.areas(result.outline().parts()))
        .withProvenance(Provenance.of(result));
  }

  /**
   * 32 hexadecimal digits by which a sync's record tells whether the image's version is what it was: of shape, class, colour,
   * name, lock, measurements and metadata.
   */
  public String digest() {
    return Digests.of(this);
  }

  /** Made to this revision. */
  public StoredAnnotation withRevision(long newRevision) {
    return new StoredAnnotation(
        id, newRevision, slideId, shape, className, classRgb, rgb, name, project, locked, measurements, metadata,
        provenance, author, createTime, updateTime, deleted);
  }

  /** In another place. */
  public StoredAnnotation withShape(AnnotationShape newShape) {
    return new StoredAnnotation(
        id, revision, slideId, newShape, className, classRgb, rgb, name, project, locked, measurements, metadata,
        provenance, author, createTime, updateTime, deleted);
  }

  /** Of another class; colour null where it is unknown. */
  public StoredAnnotation withClass(String newName, Integer newRgb) {
    return new StoredAnnotation(
        id, revision, slideId, shape, newName, newRgb, rgb, name, project, locked, measurements, metadata,
        provenance, author, createTime, updateTime, deleted);
  }

  /** With a colour of its own; null for none. */
  public StoredAnnotation withRgb(Integer newRgb) {
    return new StoredAnnotation(
        id, revision, slideId, shape, className, classRgb, newRgb, name, project, locked, measurements, metadata,
        provenance, author, createTime, updateTime, deleted);
  }

  /** With another name. */
  public StoredAnnotation withName(String newName) {
    return new StoredAnnotation(
        id, revision, slideId, shape, className, classRgb, rgb, newName, project, locked, measurements, metadata,
        provenance, author, createTime, updateTime, deleted);
  }

  /** Of another project. */
  public StoredAnnotation withProject(String newProject) {
    return new StoredAnnotation(
        id, revision, slideId, shape, className, classRgb, rgb, name, newProject, locked, measurements, metadata,
        provenance, author, createTime, updateTime, deleted);
  }

  /** Locked or not. */
  public StoredAnnotation withLocked(boolean newLocked) {
    return new StoredAnnotation(
        id, revision, slideId, shape, className, classRgb, rgb, name, project, newLocked, measurements, metadata,
        provenance, author, createTime, updateTime, deleted);
  }

  /** With other measurements. */
  public StoredAnnotation withMeasurements(Map<String, Double> newMeasurements) {
    return new StoredAnnotation(
        id, revision, slideId, shape, className, classRgb, rgb, name, project, locked, newMeasurements, metadata,
        provenance, author, createTime, updateTime, deleted);
  }

  /** With other texts. */
  public StoredAnnotation withMetadata(Map<String, String> newMetadata) {
    return new StoredAnnotation(
        id, revision, slideId, shape, className, classRgb, rgb, name, project, locked, measurements, newMetadata,
        provenance, author, createTime, updateTime, deleted);
  }

  /** Made in another way. */
  public StoredAnnotation withProvenance(Provenance newProvenance) {
    return new StoredAnnotation(
        id, revision, slideId, shape, className, classRgb, rgb, name, project, locked, measurements, metadata,
        newProvenance, author, createTime, updateTime, deleted);
  }
}
