package qupath.fx.dialogs;

/** Signatures of QuPath 0.5 to 0.7, to compile against; never shipped. */
public final class Dialogs {
  private Dialogs() {}

  /** A note in the window's corner. */
  public static void showInfoNotification(String title, String message) {
    throw new UnsupportedOperationException(title + message);
  }
}
