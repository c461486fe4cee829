package io.wsisam.client.annotations;

import io.wsisam.client.segmentation.BoxPrompt;
import io.wsisam.client.slides.Slide;

/**
 * Which annotations: those that agree with everything that is not null.
 *
 * @param slideId on this slide, see {@link Slide#annotationKey}
 * @param uri on a slide that was seen at this URI
 * @param project of this project; "" for those of none
 * @param author whose latest revision was made by this author
 * @param className of this class; "" for those of none
 * @param region whose bounding box meets this one
 * @param since changed after this revision; 0: all
 * @param withDeleted deleted ones, too
 */
public record AnnotationQuery(
    String slideId,
    String uri,
    String project,
    String author,
    String className,
    BoxPrompt region,
    long since,
    boolean withDeleted) {
  /** All that are not deleted. */
  public static AnnotationQuery all() {
    return new AnnotationQuery(null, null, null, null, null, null, 0, false);
  }

  /** On a slide. */
  public AnnotationQuery onSlide(String newSlideId) {
    return new AnnotationQuery(newSlideId, uri, project, author, className, region, since, withDeleted);
  }

  /** On a slide that was seen at a URI. */
  public AnnotationQuery at(String newUri) {
    return new AnnotationQuery(slideId, newUri, project, author, className, region, since, withDeleted);
  }

  /** Of a project. */
  public AnnotationQuery ofProject(String newProject) {
    return new AnnotationQuery(slideId, uri, newProject, author, className, region, since, withDeleted);
  }

  /** By an author. */
  public AnnotationQuery by(String newAuthor) {
    return new AnnotationQuery(slideId, uri, project, newAuthor, className, region, since, withDeleted);
  }

  /** Of a class. */
  public AnnotationQuery ofClass(String newClassName) {
    return new AnnotationQuery(slideId, uri, project, author, newClassName, region, since, withDeleted);
  }

  /** In a region. */
  public AnnotationQuery in(BoxPrompt newRegion) {
    return new AnnotationQuery(slideId, uri, project, author, className, newRegion, since, withDeleted);
  }

  /** Changed after a revision. */
  public AnnotationQuery after(long newSince) {
    return new AnnotationQuery(slideId, uri, project, author, className, region, newSince, withDeleted);
  }

  /** Deleted ones, too. */
  public AnnotationQuery andDeleted() {
    return new AnnotationQuery(slideId, uri, project, author, className, region, since, true);
  }
}
