package io.wsisam.client;

import io.wsisam.v1.Model;
import io.wsisam.v1.PromptKind;

/**
 * A model that a server knows.
 *
 * @param name what requests name it by
 * @param description what it is, and what it cannot do; for people
 * @param imageSize side of its square input in pixels
 * @param state whether prompts may name it, and whether it is in the server's memory
 * @param isDefault whether it is taken when none is named
 * @param weightsHash SHA-256 over its tensors, hexadecimal; "" unless installed
 * @param usesLow whether it reads the low-resolution patch
 * @param supportsBoxes whether it answers boxes well
 * @param supportsPoints whether it answers points well
 * @param supportsShapes whether it answers rough outlines well
 * @param licence of its weights, an SPDX expression, or ""
 * @param installHint what to do to have it installed; "" when it is
 */
public record ModelInfo(
    String name,
    String description,
    int imageSize,
    ModelState state,
    boolean isDefault,
    String weightsHash,
    boolean usesLow,
    boolean supportsBoxes,
    boolean supportsPoints,
    boolean supportsShapes,
    String licence,
    String installHint) {
  /** Whether prompts may name it, loaded or not. */
  public boolean isInstalled() {
    return state != ModelState.NOT_INSTALLED;
  }

  /** From the message of the contract. */
  static ModelInfo of(Model model) {
    return new ModelInfo(
        model.getName(),
        model.getDescription(),
        model.getImageSize(),
        state(model),
        model.getIsDefault(),
        model.getWeightsHash(),
        model.getUsesLow(),
        model.getSupportedPromptsList().contains(PromptKind.PROMPT_KIND_BOX),
        model.getSupportedPromptsList().contains(PromptKind.PROMPT_KIND_POINTS),
        model.getSupportedPromptsList().contains(PromptKind.PROMPT_KIND_SHAPE),
        model.getLicence(),
        model.getInstallHint());
  }

  private static ModelState state(Model model) {
    return switch (model.getState()) {
      case MODEL_STATE_INSTALLED -> ModelState.INSTALLED;
      case MODEL_STATE_LOADED -> ModelState.LOADED;
      default -> ModelState.NOT_INSTALLED;
    };
  }
}
