package io.wsisam.client.connection;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.DoubleSupplier;

/** Waiting times before connecting again: doubled, bounded, jittered so that a lab's clients do not come all at once. */
public final class Backoff {
  private final Duration first;
  private final Duration longest;
  private final DoubleSupplier random;
  private int failures;

  public Backoff(Duration first, Duration longest) {
    this(first, longest, () -> ThreadLocalRandom.current().nextDouble());
  }

  public Backoff(Duration first, Duration longest, DoubleSupplier random) {
    this.first = first;
    this.longest = longest;
    this.random = random;
  }

  /** The next waiting time: between half of and all of its bound. */
  public Duration next() {
    double bound = Math.min(longest.toNanos(), first.toNanos() * Math.pow(2, failures));
    failures++;
    return Duration.ofNanos((long) (bound * (1 + random.getAsDouble()) / 2));
  }

  /** Starts from the first waiting time again: the server answered. */
  public void reset() {
    failures = 0;
  }
}
