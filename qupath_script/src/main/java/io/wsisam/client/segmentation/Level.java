package io.wsisam.client.segmentation;

/**
 * A scale at which an object was segmented.
 *
 * @param downsample level-0 pixels per pixel of its windows
 * @param windows how many were segmented at it
 */
public record Level(double downsample, int windows) {}
