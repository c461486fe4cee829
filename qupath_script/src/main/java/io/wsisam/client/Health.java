package io.wsisam.client;

/** What a server says of itself. */
public enum Health {
  /** It answers prompts. */
  SERVING,
  /** It is there and loads its model, or is stopping. */
  NOT_SERVING,
  /** It has no health service. */
  UNKNOWN
}
