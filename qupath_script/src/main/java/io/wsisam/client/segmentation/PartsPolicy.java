package io.wsisam.client.segmentation;

/** Which parts of the model's mask make the outline. */
public enum PartsPolicy {
  /** All that are large enough. */
  ALL,
  /** Those with a positive point in them; without points, all but small stray ones. */
  PROMPTED
}
