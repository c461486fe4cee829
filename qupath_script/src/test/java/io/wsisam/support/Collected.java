package io.wsisam.support;

import io.wsisam.client.segmentation.BatchListener;
import io.wsisam.client.segmentation.BatchResult;
import io.wsisam.client.segmentation.Failure;
import io.wsisam.client.segmentation.PromptResult;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What a batch told; read it after the batch has ended. */
public class Collected implements BatchListener {
  public final Map<String, PromptResult> answers = new HashMap<>();
  public final Map<String, Failure> failures = new HashMap<>();
  public final List<Integer> progress = new ArrayList<>();
  public int ends;

  @Override
  public synchronized void onOutline(PromptResult answer) {
    if (answers.put(answer.objectId(), answer) != null || failures.containsKey(answer.objectId())) {
      throw new AssertionError("answered twice: " + answer.objectId());
    }
  }

  @Override
  public synchronized void onFailed(Failure failure) {
    if (failures.put(failure.objectId(), failure) != null || answers.containsKey(failure.objectId())) {
      throw new AssertionError("reported twice: " + failure.objectId());
    }
  }

  @Override
  public synchronized void onProgress(int done, int total) {
    progress.add(done);
  }

  @Override
  public synchronized void onEnd(BatchResult result) {
    ends++;
  }
}
