package qupath.lib.common;

/** Signatures of QuPath 0.5 to 0.7, to compile against; never shipped. */
public final class Version {
  private Version() {}

  /** Reads "0.7.0" or "v0.7.0-rc1". */
  public static Version parse(String text) {
    throw new UnsupportedOperationException(text);
  }
}
