package io.wsisam.client.segmentation;

/**
 * What answers in a session.
 *
 * @param model its name
 * @param weightsHash SHA-256 over its tensors, hexadecimal
 * @param inMicrons whether lengths are microns for this slide; false: level-0 pixels
 */
public record SessionInfo(String model, String weightsHash, boolean inMicrons) {}
