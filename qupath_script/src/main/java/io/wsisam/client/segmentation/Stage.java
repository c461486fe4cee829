package io.wsisam.client.segmentation;

/** What a prompt that takes long is waiting for. */
public enum Stage {
  /** Pixels that the client sends. */
  WAITING_FOR_PIXELS,
  /** The encoder, because this field is not cached. */
  ENCODING,
  /** The model, which the server is loading. */
  LOADING_MODEL
}
