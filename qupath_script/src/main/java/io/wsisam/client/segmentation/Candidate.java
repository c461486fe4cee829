package io.wsisam.client.segmentation;

import java.util.List;

/**
 * One of the objects that a prompt may mean.
 *
 * @param number names it, whatever the others are: 0 for the model's own answer, 1 to 3 for its further ones
 * @param parts connected parts with their holes
 * @param score as in {@link Outline}
 * @param cutByField as in {@link Outline}
 * @param unhonouredPoints as in {@link Outline}
 */
public record Candidate(
    int number, List<PolygonPart> parts, double score, boolean cutByField, List<Integer> unhonouredPoints) {
  /** Copies the lists. */
  public Candidate {
    parts = List.copyOf(parts);
    unhonouredPoints = List.copyOf(unhonouredPoints);
  }
}
