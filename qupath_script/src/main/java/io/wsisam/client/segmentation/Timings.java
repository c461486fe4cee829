package io.wsisam.client.segmentation;

/** Where the time of an answer went on the server; encoderRuns is 0 when the field was cached. */
public record Timings(
    double queueMs, double readMs, double encodeMs, double decodeMs, double polygonMs, int encoderRuns) {
  /** All together. */
  public double totalMs() {
    return queueMs + readMs + encodeMs + decodeMs + polygonMs;
  }
}
