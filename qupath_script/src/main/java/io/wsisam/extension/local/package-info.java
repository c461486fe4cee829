/**
 * A server on this computer, started from QuPath: which installation it is of, what it is told, who uses it, and when it ends.
 * Knows nothing of QuPath or JavaFX.
 */
package io.wsisam.extension.local;
