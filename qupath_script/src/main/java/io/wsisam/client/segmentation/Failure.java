package io.wsisam.client.segmentation;

import io.wsisam.client.connection.WsiSamException;

/**
 * A prompt that got no outline.
 *
 * @param objectId the object, or the item of a batch
 * @param revision the object's revision; 0 outside a session
 * @param request what failed
 * @param error why
 */
public record Failure(String objectId, int revision, PromptRequest request, WsiSamException error) {}
