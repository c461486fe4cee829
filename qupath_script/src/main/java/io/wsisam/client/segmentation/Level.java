package io.wsisam.client.segmentation;

/**
 * A scale at which an object was looked at.
 *
 * @param downsample level-0 pixels per pixel of its windows
 * @param windows how many of them were asked
 */
public record Level(double downsample, int windows) {}
