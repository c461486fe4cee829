package io.wsisam.client.segmentation;

/** Hears of a survey. Called on the client's callback thread. */
public interface SurveyListener {
  /** An object that was found; final. Its prompt is the click that it was outlined from. */
  void onProposal(PromptResult result);

  /** After each window, and once before the first. */
  default void onProgress(int done, int total) {}
}
