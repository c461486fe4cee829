package qupath.lib.gui.extensions;

import qupath.lib.common.Version;
import qupath.lib.gui.QuPathGUI;

/** Signatures of QuPath 0.5 to 0.7, to compile against; never shipped. */
public interface QuPathExtension {
  /** Called once, on the JavaFX thread. */
  void installExtension(QuPathGUI qupath);

  /** For the list of extensions. */
  String getName();

  /** For the list of extensions. */
  String getDescription();

  /** Of the QuPath that it was written for. */
  default Version getQuPathVersion() {
    throw new UnsupportedOperationException();
  }
}
