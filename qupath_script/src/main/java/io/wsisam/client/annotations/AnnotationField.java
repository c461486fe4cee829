package io.wsisam.client.annotations;

/** What of an annotation can be saved by itself, see {@link Annotations#saveFields}. */
public enum AnnotationField {
  /** Where it is. */
  SHAPE("shape"),
  /** Its class, with the class's colour. */
  PATH_CLASS("path_class"),
  /** Its own colour. */
  RGB("rgb"),
  /** Its name. */
  NAME("name"),
  /** What it belongs to. */
  PROJECT("project"),
  /** Whether it is locked. */
  LOCKED("locked"),
  /** All its measurements. */
  MEASUREMENTS("measurements"),
  /** All its texts. */
  METADATA("metadata"),
  /** How a model made it. */
  PROVENANCE("provenance");

  private final String path;

  AnnotationField(String path) {
    this.path = path;
  }

  /** The field's name in the contract. */
  String path() {
    return path;
  }
}
