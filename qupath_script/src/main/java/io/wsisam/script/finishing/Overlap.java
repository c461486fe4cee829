package io.wsisam.script.finishing;

/** With which annotations an outline may not overlap. */
public enum Overlap {
  /** It may with all. */
  ALLOWED,
  /** With those of its own class. */
  NOT_WITH_ITS_CLASS,
  /** With none. */
  NONE
}
