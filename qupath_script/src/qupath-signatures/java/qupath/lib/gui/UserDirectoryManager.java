package qupath.lib.gui;

import java.nio.file.Path;

/** Signatures of QuPath 0.5 to 0.7, to compile against; never shipped. */
public abstract class UserDirectoryManager {
  private UserDirectoryManager() {}

  /** The only one. */
  public static UserDirectoryManager getInstance() {
    throw new UnsupportedOperationException();
  }

  /** The user directory; null before there is one. */
  public abstract Path getUserPath();
}
