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
public record PromptResult(String objectId, int revision, PromptRequest request, Outline outline, Duration roundTrip) {}
