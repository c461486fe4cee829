package io.wsisam.client.segmentation;

/** Where the time of an answer went on the server, in milliseconds; encoderRuns is 0 when the field was cached. */
public record Timings(
    double queue, double read, double encode, double decode, double polygon, int encoderRuns) {
  /** All together. */
  public double total() {
    return queue + read + encode + decode + polygon;
  }
}
