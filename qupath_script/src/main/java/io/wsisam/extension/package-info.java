/**
 * The jar as an extension of QuPath: a menu, a button and a key that run the scripts. Compiled against signatures of QuPath; all
 * that needs more of QuPath is Groovy, which the running QuPath compiles against itself.
 */
package io.wsisam.extension;
