/** What QuPath's scripts need and what needs no QuPath: undo of clicks, texts, metadata, settings. */
package io.wsisam.script;
