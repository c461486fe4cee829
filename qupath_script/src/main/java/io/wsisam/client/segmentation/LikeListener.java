package io.wsisam.client.segmentation;

/** Hears of a search by exemplars. Called on the client's callback thread. */
public interface LikeListener {
  /** An object that was found; final. */
  void onProposal(LikeProposal proposal);

  /** After each window, each of which counts twice: once looked at, once outlined. And once before the first. */
  default void onProgress(int done, int total) {}

  /** What followed from the exemplars, as far as it is known; before the proposals that it is about. */
  default void onLikeness(Likeness likeness) {}
}
