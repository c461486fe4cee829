package io.wsisam.client.segmentation;

import io.wsisam.client.slides.SlideReference;

/**
 * How outlines are made. Lengths are microns and areas square microns, or level-0 pixels where the image here
 * ({@link SlideReference#mpp}) has no pixel size; they are sent in the server's unit.
 *
 * @param model a model's name; "" for the server's default
 * @param tolerance greatest distance by which simplification may move the border, or null for the server's choice
 * @param minArea parts and holes below it are left out, or null for the server's choice
 */
public record SegmentOptions(String model, Double tolerance, Double minArea) {
  /** Turns a missing model into the default one. */
  public SegmentOptions {
    model = model == null ? "" : model;
  }

  /** All as the server chooses. */
  public static SegmentOptions defaults() {
    return new SegmentOptions("", null, null);
  }

  boolean hasLengths() {
    return tolerance != null || minArea != null;
  }

  /** With a model. */
  public SegmentOptions withModel(String name) {
    return new SegmentOptions(name, tolerance, minArea);
  }

  /** With a tolerance. */
  public SegmentOptions withTolerance(Double newTolerance) {
    return new SegmentOptions(model, newTolerance, minArea);
  }

  /** With a smallest area. */
  public SegmentOptions withMinArea(Double newMinArea) {
    return new SegmentOptions(model, tolerance, newMinArea);
  }
}
