package io.wsisam.client.segmentation;

import java.time.Duration;

/**
 * The outline that a prompt got.
 *
 * @param objectId the object, or the item of a batch; "" for a single prompt
 * @param revision the object's revision; 0 outside a session
 * @param request what it is the result of
 * @param outline the outline
 * @param roundTrip from the request to this result
 */
public record PromptResult(String objectId, int revision, PromptRequest request, Outline outline, Duration roundTrip) {
  /** With another candidate of its outline, by number, as the outline; itself where there is no such one. */
  public PromptResult showing(int candidate) {
    for (int place = 0; place < outline.candidates().size(); place++) {
      if (outline.candidates().get(place).number() == candidate) {
        return new PromptResult(objectId, revision, request, outline.showing(place), roundTrip);
      }
    }
    return this;
  }

  /** The number of the candidate that its outline is; 0 for the model's own answer. */
  public int candidate() {
    Integer meant = request.prompt().candidate();
    return outline.candidates().isEmpty() && meant != null ? meant : outline.candidate();
  }
}
