package io.wsisam.client;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What a batch told; read it after the batch has ended. */
class Collected implements BatchListener {
  final Map<String, Answer> answers = new HashMap<>();
  final Map<String, Failure> failures = new HashMap<>();
  final List<Integer> progress = new ArrayList<>();
  int ends;

  @Override
  public synchronized void onOutline(Answer answer) {
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
