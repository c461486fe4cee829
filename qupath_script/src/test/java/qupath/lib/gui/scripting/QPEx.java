package qupath.lib.gui.scripting;

/** A stand-in for the class whose methods QuPath gives to every script. */
public final class QPEx {
  private QPEx() {}
}
