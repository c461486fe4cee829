/** Prompts and outlines: single ones, batches, surveys, sessions; and their translation to messages. */
package io.wsisam.client.segmentation;
