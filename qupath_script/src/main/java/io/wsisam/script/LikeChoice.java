package io.wsisam.script;

import io.wsisam.client.segmentation.LikeProposal;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Set;

/** What of the proposals of one search a user takes: those that are sure enough and that nobody rejected. */
public final class LikeChoice {
  /** Proposals are asked for from here on, so that the slider has something to show below where it stands. */
  public static final double LEAST_ASKED = 0.1;

  /** As the server would choose: a missed object counts as much as a wrong one. */
  private static final double USUAL = 0.27;

  private static final double WHERE_UNSURE = 0.5;

  private final List<LikeProposal> proposals;
  private final Set<String> rejected = new HashSet<>();
  private double least;

  /**
   * Of what was found.
   *
   * @param proposals of one search
   * @param unsure whether the exemplars do not tell their kind from the rest: only the likeliest are shown at first
   */
  public LikeChoice(List<LikeProposal> proposals, boolean unsure) {
    this.proposals = proposals.stream().sorted(Comparator.comparingDouble(LikeProposal::similarity).reversed()).toList();
    least = unsure ? WHERE_UNSURE : USUAL;
  }

  /** How sure a proposal must be. */
  public double least() {
    return least;
  }

  /** Sets it, 0 to 1. */
  public void least(double similarity) {
    least = similarity;
  }

  /** What is sure enough, rejected or not; the surest first. */
  public List<LikeProposal> shown() {
    return proposals.stream().filter(one -> one.similarity() >= least).toList();
  }

  /** What would be taken now. */
  public List<LikeProposal> taken() {
    return shown().stream().filter(one -> !isRejected(one)).toList();
  }

  /** All that was rejected, also where it is not sure enough to be shown any more. */
  public List<LikeProposal> rejected() {
    return proposals.stream().filter(this::isRejected).toList();
  }

  public boolean isRejected(LikeProposal proposal) {
    return rejected.contains(proposal.result().objectId());
  }

  /** Rejects one, or takes that back. */
  public void toggle(LikeProposal proposal) {
    if (!rejected.remove(proposal.result().objectId())) {
      rejected.add(proposal.result().objectId());
    }
  }

  /** The share of those that would be taken that is expected to be of the kind; empty where there are none. */
  public OptionalDouble expectedPrecision() {
    return taken().stream().mapToDouble(LikeProposal::similarity).average();
  }
}
