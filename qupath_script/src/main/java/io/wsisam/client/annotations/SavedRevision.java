package io.wsisam.client.annotations;

/**
 * What became of a change.
 *
 * @param id the annotation
 * @param revision its latest revision
 * @param unchanged whether it was so already, and no revision was made
 */
public record SavedRevision(String id, long revision, boolean unchanged) {}
