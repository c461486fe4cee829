package qupath.lib.gui.viewer;

/** Signatures of QuPath 0.5 to 0.7, to compile against; never shipped. */
public abstract class QuPathViewer {
  private QuPathViewer() {}
}
