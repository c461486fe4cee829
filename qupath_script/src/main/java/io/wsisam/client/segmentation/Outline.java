package io.wsisam.client.segmentation;

import java.util.List;

/**
 * An object's outline: valid in the sense of OGC, inside the slide; no part at all when the model found nothing.
 *
 * @param parts connected parts with their holes
 * @param score its overlap (IoU) with the object as the model expects it, about 0 to 1; not a probability
 * @param window the high-resolution patch that was used
 * @param cutByField whether the mask reaches that patch's edge, so that the object may go on beyond it
 * @param tolerance the simplification that was applied
 * @param inMicrons whether lengths are microns; false: level-0 pixels
 * @param droppedParts parts left out because they are too small
 * @param droppedHoles holes left out because they are too small
 * @param model the model that made it
 * @param weightsHash SHA-256 over the model's tensors, hexadecimal
 * @param timings where the time went
 * @param levels the scales at which it was segmented, the window's first, finer ones where its border was refined; empty from a
 *     server that does not refine
 * @param truncated whether its border was refined less finely than asked for, to read no more windows than it may
 * @param unhonouredPoints numbers of the prompt's points, from 0, that the outline contradicts
 * @param candidates where more than one was wanted, the objects that the prompt may mean, in ascending area
 * @param chosen which of them this outline is, as an index
 */
public record Outline(
    List<PolygonPart> parts,
    double score,
    FieldWindow window,
    boolean cutByField,
    double tolerance,
    boolean inMicrons,
    int droppedParts,
    int droppedHoles,
    String model,
    String weightsHash,
    Timings timings,
    List<Level> levels,
    boolean truncated,
    List<Integer> unhonouredPoints,
    List<Candidate> candidates,
    int chosen) {
  /** How often a field's scale can be halved for its border: to a 16th. */
  private static final int MAX_OCTAVES = 4;

  /** Along a mask's side, whatever the size of the window. */
  private static final double CELLS = 256;

  /** Copies the lists. */
  public Outline {
    parts = List.copyOf(parts);
    levels = List.copyOf(levels);
    unhonouredPoints = List.copyOf(unhonouredPoints);
    candidates = List.copyOf(candidates);
  }

  /** Another of its candidates as the outline; which parts and holes were dropped is then not known. */
  public Outline showing(int candidate) {
    Candidate other = candidates.get(candidate);
    return new Outline(
        other.parts(),
        other.score(),
        window,
        other.cutByField(),
        tolerance,
        inMicrons,
        0,
        0,
        model,
        weightsHash,
        timings,
        levels,
        truncated,
        other.unhonouredPoints(),
        candidates,
        candidate);
  }

  /** The number of the candidate that the outline is; 0, the model's own answer, where there are none. */
  public int candidate() {
    return candidates.isEmpty() ? 0 : candidates.get(chosen).number();
  }

  /** Whether nothing was found. */
  public boolean isEmpty() {
    return parts.isEmpty();
  }

  /** Whether its border was refined in finer windows. */
  public boolean isRefined() {
    return levels.size() > 1;
  }

  /** In how many finer windows its border was refined. */
  public int borderWindows() {
    return levels.stream().skip(1).mapToInt(Level::windows).sum();
  }

  /**
   * Whether its border can be refined further, at a scale of about {@code downsample}: the server refines,
   * the object was too large for one window at that scale, and no limit was met.
   *
   * @param downsample level-0 pixels per cell of the mask, as in {@link Refinement}
   */
  public boolean isRefinable(double downsample) {
    if (isEmpty() || levels.isEmpty() || truncated) {
      return false;
    }
    double coarse = cell(levels.get(0));
    double finest = cell(levels.get(levels.size() - 1));
    return octaves(coarse, downsample) > Math.round(log2(coarse / finest));
  }

  /** Level-0 pixels per cell of the mask at one of its levels. */
  public double cell(Level level) {
    return level.downsample() * window.size() / CELLS;
  }

  /** How often the server halves a field's scale to come near another one. */
  private static long octaves(double coarse, double downsample) {
    return Math.min(MAX_OCTAVES, Math.max(0, Math.round(log2(coarse / downsample))));
  }

  private static double log2(double value) {
    return Math.log(value) / Math.log(2);
  }

  /** Vertices of all rings. */
  public int vertexCount() {
    int count = 0;
    for (PolygonPart part : parts) {
      count += part.outer().length / 2;
      for (double[] hole : part.holes()) {
        count += hole.length / 2;
      }
    }
    return count;
  }

  /** x0, y0, x1, y1 of all parts; empty when nothing was found. */
  public double[] bounds() {
    if (isEmpty()) {
      return new double[0];
    }
    double inf = Double.POSITIVE_INFINITY;
    double[] box = {inf, inf, -inf, -inf};
    for (PolygonPart part : parts) {
      double[] ring = part.outer();
      for (int i = 0; i < ring.length; i += 2) {
        box[0] = Math.min(box[0], ring[i]);
        box[1] = Math.min(box[1], ring[i + 1]);
        box[2] = Math.max(box[2], ring[i]);
        box[3] = Math.max(box[3], ring[i + 1]);
      }
    }
    return box;
  }
}
