package io.wsisam.client;

import io.wsisam.v1.Model;
import io.wsisam.v1.PromptKind;

/**
 * A model that a server knows.
 *
 * @param name what requests name it by
 * @param description what it is, and what it cannot do; for people
 * @param imageSize side of its square input in pixels
 * @param ready whether prompts may name it
 * @param isDefault whether it is taken when none is named
 * @param weightsHash SHA-256 over its tensors, hexadecimal; "" unless ready
 * @param usesLow whether it reads the low-resolution patch
 * @param supportsBoxes whether it answers boxes well
 * @param supportsPoints whether it answers points well
 * @param licence of its weights, an SPDX expression, or ""
 * @param installHint what to do to make it ready; "" when ready
 * @param loaded whether it is in the server's memory; another ready model is loaded by the first prompt that names it
 */
public record ModelInfo(
    String name,
    String description,
    int imageSize,
    boolean ready,
    boolean isDefault,
    String weightsHash,
    boolean usesLow,
    boolean supportsBoxes,
    boolean supportsPoints,
    String licence,
    String installHint,
    boolean loaded) {
  /** From the message of the contract. */
  static ModelInfo of(Model model) {
    return new ModelInfo(
        model.getName(),
        model.getDescription(),
        model.getImageSize(),
        model.getReady(),
        model.getIsDefault(),
        model.getWeightsHash(),
        model.getUsesLow(),
        model.getGoodForList().contains(PromptKind.PROMPT_KIND_BOX),
        model.getGoodForList().contains(PromptKind.PROMPT_KIND_POINTS),
        model.getLicence(),
        model.getHowToGet(),
        model.getLoaded());
  }
}
