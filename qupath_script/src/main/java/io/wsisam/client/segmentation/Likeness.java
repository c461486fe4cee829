package io.wsisam.client.segmentation;

import java.util.OptionalDouble;

/**
 * What followed from exemplars.
 *
 * @param minSize of the objects that are proposed, as diameter of a circle, in the unit of {@link ProposalFilter}
 * @param maxSize of these
 * @param expectedPrecision share of the proposals that is expected to be right; empty until all windows were looked at
 * @param unsure whether the exemplars do not tell their kind from the rest, so that only the likeliest are proposed
 */
public record Likeness(double minSize, double maxSize, OptionalDouble expectedPrecision, boolean unsure) {}
