package io.wsisam.client.connection;

import java.time.Duration;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * The threads of one client; all are daemons. All state of calls, sessions and batches belongs to the work thread, where
 * gRPC's callbacks arrive too, so that none of it needs a lock.
 */
public final class Threads {
  private static final Logger LOG = Logger.getLogger("io.wsisam.client");
  private static final long IDLE_SECONDS = 5;

  final ScheduledThreadPoolExecutor work;
  final ExecutorService network;
  private final ExecutorService callbacks;
  private final ExecutorService pixels;

  Threads() {
    work = new ScheduledThreadPoolExecutor(1, named("wsisam-work"));
    work.setRemoveOnCancelPolicy(true);
    work.setExecuteExistingDelayedTasksAfterShutdownPolicy(false);
    callbacks = one("wsisam-callback");
    pixels = one("wsisam-pixels");
    AtomicInteger number = new AtomicInteger();
    network =
        new ThreadPoolExecutor(
            0,
            Integer.MAX_VALUE,
            IDLE_SECONDS,
            TimeUnit.SECONDS,
            new SynchronousQueue<>(),
            task -> new OwnThread(task, "wsisam-network-" + number.incrementAndGet()));
  }

  /** Whether the caller is a thread of any client, which must not wait for that client. */
  public static boolean isOwn() {
    return Thread.currentThread() instanceof OwnThread;
  }

  /** Runs a task on the work thread; false when the client is closed. */
  public boolean work(Runnable task) {
    return submit(work, task);
  }

  /** Runs a task on the work thread later, unless the client is closed by then. */
  public ScheduledFuture<?> later(Duration delay, Runnable task) {
    return work.schedule(guarded(task), delay.toNanos(), TimeUnit.NANOSECONDS);
  }

  /** Calls a listener, after all earlier ones. */
  public void callback(Runnable task) {
    submit(callbacks, task);
  }

  /** Runs a task that reads pixels; false when the client is closed. */
  public boolean pixels(Runnable task) {
    return submit(pixels, task);
  }

  /** Lets the work thread finish what it has, then the callbacks, then ends all; waits for it. */
  void close(Duration patience) throws InterruptedException {
    long nanos = patience.toNanos();
    work.shutdown();
    work.awaitTermination(nanos, TimeUnit.NANOSECONDS);
    pixels.shutdownNow();
    callbacks.shutdown();
    callbacks.awaitTermination(nanos, TimeUnit.NANOSECONDS);
    network.shutdownNow();
    network.awaitTermination(nanos, TimeUnit.NANOSECONDS);
    pixels.awaitTermination(nanos, TimeUnit.NANOSECONDS);
  }

  private static boolean submit(ExecutorService executor, Runnable task) {
    try {
      executor.execute(guarded(task));
      return true;
    } catch (RejectedExecutionException closed) {
      return false;
    }
  }

  private static Runnable guarded(Runnable task) {
    return () -> {
      try {
        task.run();
      } catch (Throwable failure) { // a listener's assertion or a missing class must not end the thread unseen
        LOG.log(Level.WARNING, "a task of the wsisam client failed", failure);
      }
    };
  }

  private static ExecutorService one(String name) {
    return new ThreadPoolExecutor(1, 1, 0, TimeUnit.SECONDS, new LinkedBlockingQueue<>(), named(name));
  }

  private static ThreadFactory named(String name) {
    return task -> new OwnThread(task, name);
  }

  private static final class OwnThread extends Thread {
    OwnThread(Runnable task, String name) {
      super(task, name);
      setDaemon(true);
    }
  }
}
