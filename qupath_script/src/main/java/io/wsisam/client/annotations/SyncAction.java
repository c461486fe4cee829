package io.wsisam.client.annotations;

/**
 * What is done with one annotation.
 *
 * @param id the annotation
 * @param action in a few words
 * @param reason why
 * @param conflict both sides changed it differently, and keep their own
 * @param held it waits for another direction
 * @param refused the store does not take it; the reason says why
 */
public record SyncAction(String id, String action, String reason, boolean conflict, boolean held, boolean refused) {}
