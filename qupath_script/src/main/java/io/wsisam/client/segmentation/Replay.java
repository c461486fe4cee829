package io.wsisam.client.segmentation;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/** The revisions of one object, each asked after the answer to the one before. */
final class Replay implements SessionListener {
  private final CompletableFuture<PromptResult> last = new CompletableFuture<>();
  private final Deque<PromptRequest> left;
  private final String objectId = UUID.randomUUID().toString();
  private Session session;

  Replay(List<PromptRequest> revisions) {
    if (revisions.isEmpty()) {
      throw new IllegalArgumentException("there is nothing to repeat");
    }
    left = new ArrayDeque<>(revisions);
  }

  CompletableFuture<PromptResult> run(Session opened) {
    session = opened;
    last.whenComplete((result, failure) -> session.close());
    askNext();
    return last;
  }

  private void askNext() {
    session.prompt(objectId, left.poll());
  }

  @Override
  public void onOutline(PromptResult result) {
    if (left.isEmpty()) {
      last.complete(result);
    } else {
      askNext();
    }
  }

  @Override
  public void onFailed(Failure failure) {
    last.completeExceptionally(failure.error());
  }
}
