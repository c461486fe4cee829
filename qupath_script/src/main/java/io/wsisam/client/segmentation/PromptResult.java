package io.wsisam.client.segmentation;

import java.time.Duration;

/**
 * An outline and what it answers.
 *
 * @param objectId the object, or the item of a batch; "" for a single prompt
 * @param revision the object's revision; 0 outside a session
 * @param request what was asked
 * @param outline the outline
 * @param roundTrip from the moment it was asked to this answer
 */
public record PromptResult(String objectId, int revision, PromptRequest request, Outline outline, Duration roundTrip) {}
