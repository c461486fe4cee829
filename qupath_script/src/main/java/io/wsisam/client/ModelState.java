package io.wsisam.client;

/** Whether a model can answer. */
public enum ModelState {
  /** The server knows it by name only; see {@link ModelInfo#installHint}. */
  NOT_INSTALLED,

  /** Prompts may name it; the first one has it loaded, which takes seconds. */
  INSTALLED,

  /** It is in the server's memory. */
  LOADED
}
