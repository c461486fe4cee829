package io.wsisam.client.annotations;

import java.util.List;

/**
 * Annotations as they are.
 *
 * @param annotations in the order of their revisions, each once
 * @param revision all has been listed up to here: what to go on from
 * @param storeId the store's own id; a revision means something in this store only
 */
public record AnnotationList(List<StoredAnnotation> annotations, long revision, String storeId) {
  /** Copies the list. */
  public AnnotationList {
    annotations = List.copyOf(annotations);
  }
}
