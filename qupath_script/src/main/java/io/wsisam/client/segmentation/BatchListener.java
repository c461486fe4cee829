package io.wsisam.client.segmentation;

/** Hears of a batch. Called on the client's callback thread; each item is reported exactly once. */
public interface BatchListener {
  /** An item's outline; {@link PromptResult#objectId} is the item's id. */
  void onOutline(PromptResult result);

  /** An item that got none. */
  void onFailed(Failure failure);

  /** After each of the above. */
  default void onProgress(int done, int total) {}

  /** Once, last. */
  default void onEnd(BatchResult result) {}
}
