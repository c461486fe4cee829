package io.wsisam.client.segmentation;

import io.wsisam.client.connection.Threads;
import java.time.Duration;
import java.util.concurrent.ScheduledFuture;
import java.util.function.Consumer;

/** Lets a moving viewport through when it rests, or at least once a second while it moves. On the work thread. */
final class ViewportHint {
  private static final Duration REST = Duration.ofMillis(150);
  private static final Duration LONGEST = Duration.ofSeconds(1);

  private final Threads threads;
  private final Consumer<Viewport> send;
  private Viewport latest;
  private ScheduledFuture<?> timer;
  private long movingSince;

  ViewportHint(Threads threads, Consumer<Viewport> send) {
    this.threads = threads;
    this.send = send;
  }

  /** Takes the newest viewport. */
  void move(Viewport viewport) {
    latest = viewport;
    long now = System.nanoTime();
    if (timer == null) {
      movingSince = now;
    } else {
      timer.cancel(false);
    }
    Duration left = LONGEST.minusNanos(now - movingSince);
    Duration pause = left.compareTo(REST) < 0 ? left : REST;
    timer = threads.later(pause.isNegative() ? Duration.ZERO : pause, this::sendNow);
  }

  /** Sends the newest viewport, if there is one: for a new stream, which knows none. */
  void sendNow() {
    if (timer != null) {
      timer.cancel(false);
      timer = null;
    }
    if (latest != null) {
      send.accept(latest);
    }
  }

  void stop() {
    if (timer != null) {
      timer.cancel(false);
    }
  }
}
