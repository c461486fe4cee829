package io.wsisam.client.segmentation;

import io.wsisam.client.connection.WsiSamException;

/** Hears of a session. Called on the client's callback thread, in order. */
public interface SessionListener {
  /** A prompt's outline. */
  void onOutline(PromptResult result);

  /** A prompt that got none; ask {@link WsiSamException#isSuperseded} before telling the user. */
  void onFailed(Failure failure);

  /** A prompt takes long. */
  default void onProgress(String objectId, int revision, Stage stage) {}

  /**
   * A prompt's border is being refined.
   *
   * @param done finer windows that are answered
   * @param total all of them
   */
  default void onRefining(String objectId, int revision, int done, int total) {}

  /**
   * The connection changed.
   *
   * @param state what it is now
   * @param cause why it waits or failed; null otherwise
   */
  default void onState(SessionState state, WsiSamException cause) {}

  /** The server is ready to answer; called again after each reconnection. */
  default void onStarted(SessionInfo info) {}

  /** Something is wrong that belongs to no prompt: a tile, a viewport. */
  default void onWarning(WsiSamException error) {}
}
