package io.wsisam.extension.local;

/** How far the start of a local server is. */
public enum StartStage {
  /** A token is made. */
  MAKING_TOKEN,

  /** Python is started, and reads its packages. */
  STARTING,

  /** The server runs, and loads its model. */
  LOADING_MODEL
}
