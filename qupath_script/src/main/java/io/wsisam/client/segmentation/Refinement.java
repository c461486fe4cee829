package io.wsisam.client.segmentation;

/**
 * How finely an outline's border is refined, beyond the one field in which the whole object fits. Each finer
 * window costs the server a run of the encoder, unless it is cached; windows wait behind everybody's clicks.
 *
 * @param downsample level-0 pixels per cell of the finest mask, or null for the viewport's downsample
 * @param maxWindows most windows that may be read, or null for the server's choice; a coarser scale is taken where it does
 *     not do
 */
public record Refinement(Double downsample, Integer maxWindows) {
  /** As fine as this many level-0 pixels per cell of the mask. */
  public static Refinement to(double downsample) {
    return new Refinement(downsample, null);
  }
}
