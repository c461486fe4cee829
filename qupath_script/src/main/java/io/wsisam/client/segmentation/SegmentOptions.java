package io.wsisam.client.segmentation;

import io.wsisam.client.slides.SlideReference;

/**
 * How outlines are made. Lengths are microns and areas square microns, or level-0 pixels where the image here
 * ({@link SlideReference#mpp}) has no pixel size; they are sent in the server's unit.
 *
 * @param model a model's name; "" for the server's default
 * @param tolerance greatest distance by which simplification may move the border, or null for the server's choice
 * @param minArea parts and holes below it are left out, or null for the server's choice
 * @param parts which parts are kept, or null for the server's choice
 * @param fillHolesBelow holes below this area are filled, or null for {@code minArea}
 * @param smoothing length over which the border is smoothed before it is drawn, or null for none
 * @param honourPoints whether the border is moved where the model's mask contradicts a point, or null for the server's choice
 * @param maxCandidates how many outlines an ambiguous prompt may have, 1 to 4, or null for one
 */
public record SegmentOptions(
    String model,
    Double tolerance,
    Double minArea,
    PartsPolicy parts,
    Double fillHolesBelow,
    Double smoothing,
    Boolean honourPoints,
    Integer maxCandidates) {
  /** Turns a missing model into the default one. */
  public SegmentOptions {
    model = model == null ? "" : model;
  }

  /** A model, and how its outlines are simplified. */
  public SegmentOptions(String model, Double tolerance, Double minArea) {
    this(model, tolerance, minArea, null, null, null, null, null);
  }

  /** All as the server chooses. */
  public static SegmentOptions defaults() {
    return new SegmentOptions("", null, null);
  }

  boolean hasLengths() {
    return tolerance != null || minArea != null || fillHolesBelow != null || smoothing != null;
  }

  /** With a model. */
  public SegmentOptions withModel(String name) {
    return new SegmentOptions(
        name, tolerance, minArea, parts, fillHolesBelow, smoothing, honourPoints, maxCandidates);
  }

  /** With a tolerance. */
  public SegmentOptions withTolerance(Double newTolerance) {
    return new SegmentOptions(
        model, newTolerance, minArea, parts, fillHolesBelow, smoothing, honourPoints, maxCandidates);
  }

  /** With a smallest area. */
  public SegmentOptions withMinArea(Double newMinArea) {
    return new SegmentOptions(
        model, tolerance, newMinArea, parts, fillHolesBelow, smoothing, honourPoints, maxCandidates);
  }

  /** With a choice of parts. */
  public SegmentOptions withParts(PartsPolicy policy) {
    return new SegmentOptions(
        model, tolerance, minArea, policy, fillHolesBelow, smoothing, honourPoints, maxCandidates);
  }

  /** With holes below an area filled. */
  public SegmentOptions withHolesFilledBelow(Double area) {
    return new SegmentOptions(model, tolerance, minArea, parts, area, smoothing, honourPoints, maxCandidates);
  }

  /** With a smoothed border. */
  public SegmentOptions withSmoothing(Double length) {
    return new SegmentOptions(model, tolerance, minArea, parts, fillHolesBelow, length, honourPoints, maxCandidates);
  }

  /** With points honoured, or not. */
  public SegmentOptions withPointsHonoured(Boolean honoured) {
    return new SegmentOptions(model, tolerance, minArea, parts, fillHolesBelow, smoothing, honoured, maxCandidates);
  }

  /** With so many outlines of an ambiguous prompt. */
  public SegmentOptions withCandidates(Integer most) {
    return new SegmentOptions(model, tolerance, minArea, parts, fillHolesBelow, smoothing, honourPoints, most);
  }

  /** With what a request says in their place. */
  SegmentOptions of(PromptRequest request) {
    return request.maxCandidates() == null ? this : withCandidates(request.maxCandidates());
  }
}
