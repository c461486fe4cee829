package io.wsisam.client.segmentation;

/**
 * Which objects of a region are proposed. Sizes are diameters of circles of the objects' area, in microns, or in level-0
 * pixels where the image here has no pixel size; they are sent in the server's unit. What is null is the server's choice.
 *
 * @param minSize of the smallest; greater than 0
 * @param maxSize of the largest; greater than minSize, at most 16 times as large
 * @param minScore least IoU that the model itself expects
 * @param minStability how far an outline must stay where it is when the model's threshold moves, 0 to 1
 * @param minAgreement share of the clicks in an outline whose own outlines must agree with it
 * @param maxOverlap share of the smaller one's area that two objects may have in common
 */
public record ProposalFilter(
    double minSize, double maxSize, Double minScore, Double minStability, Double minAgreement, Double maxOverlap) {
  /** Of a size, all else as the server chooses. */
  public static ProposalFilter ofSize(double minSize, double maxSize) {
    return new ProposalFilter(minSize, maxSize, null, null, null, null);
  }
}
