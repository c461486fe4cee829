package io.wsisam.client.segmentation;

/**
 * An object that looks like exemplars.
 *
 * @param result its outline; its prompt is the box that it was outlined from
 * @param similarity the probability that it is one of the exemplars' kind, 0 to 1
 * @param className the class of the exemplars that it resembles most; "" for none
 */
public record LikeProposal(PromptResult result, double similarity, String className) {}
