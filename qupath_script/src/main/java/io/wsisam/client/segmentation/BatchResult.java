package io.wsisam.client.segmentation;

/**
 * How a batch ended; outlined and failed together are all its items.
 *
 * @param outlined items with an outline, perhaps an empty one
 * @param failed items without
 * @param cancelled whether it was cancelled
 */
public record BatchResult(int outlined, int failed, boolean cancelled) {}
