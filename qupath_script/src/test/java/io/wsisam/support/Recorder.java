package io.wsisam.support;

import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.segmentation.Failure;
import io.wsisam.client.segmentation.PromptResult;
import io.wsisam.client.segmentation.SessionInfo;
import io.wsisam.client.segmentation.SessionListener;
import io.wsisam.client.segmentation.SessionState;
import io.wsisam.client.segmentation.Stage;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** Writes down what a session tells, and how often each prompt was reported. */
public final class Recorder implements SessionListener {
  public final BlockingQueue<Object> reports = new LinkedBlockingQueue<>();
  public final List<SessionState> states = Collections.synchronizedList(new ArrayList<>());
  public final List<WsiSamException> causes = Collections.synchronizedList(new ArrayList<>());
  public final List<WsiSamException> warnings = Collections.synchronizedList(new ArrayList<>());
  public final List<String> refinings = Collections.synchronizedList(new ArrayList<>());
  public final List<Stage> stages = Collections.synchronizedList(new ArrayList<>());
  public final BlockingQueue<SessionInfo> starts = new LinkedBlockingQueue<>();
  public final Map<Integer, AtomicInteger> counts = new ConcurrentHashMap<>();
  public final Map<String, Integer> threads = new ConcurrentHashMap<>();

  @Override
  public void onOutline(PromptResult result) {
    counts.computeIfAbsent(result.revision(), key -> new AtomicInteger()).incrementAndGet();
    threads.merge(Thread.currentThread().getName(), 1, Integer::sum);
    reports.add(result);
  }

  @Override
  public void onFailed(Failure failure) {
    counts.computeIfAbsent(failure.revision(), key -> new AtomicInteger()).incrementAndGet();
    threads.merge(Thread.currentThread().getName(), 1, Integer::sum);
    reports.add(failure);
  }

  @Override
  public void onProgress(String objectId, int revision, Stage stage) {
    stages.add(stage);
  }

  @Override
  public void onRefining(String objectId, int revision, int done, int total) {
    refinings.add(done + " of " + total);
  }

  @Override
  public void onState(SessionState state, WsiSamException cause) {
    states.add(state);
    if (cause != null) {
      causes.add(cause);
    }
  }

  @Override
  public void onStarted(SessionInfo info) {
    starts.add(info);
  }

  @Override
  public void onWarning(WsiSamException error) {
    warnings.add(error);
  }

  /** The next report, a PromptResult or a Failure. */
  public Object next() throws InterruptedException {
    Object report = reports.poll(120, TimeUnit.SECONDS);
    if (report == null) {
      throw new AssertionError("nothing was reported in two minutes; states " + states);
    }
    return report;
  }

  public PromptResult answer() throws InterruptedException {
    Object report = next();
    if (report instanceof PromptResult result) {
      return result;
    }
    throw new AssertionError("not an answer: " + report);
  }

  public Failure failure() throws InterruptedException {
    Object report = next();
    if (report instanceof Failure failure) {
      return failure;
    }
    throw new AssertionError("not a failure: " + report);
  }
}
