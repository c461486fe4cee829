package io.wsisam.client.segmentation;

import java.util.Objects;

/**
 * One prompt of a batch.
 *
 * @param id the caller's own, unique in the batch
 * @param request the prompt
 */
public record BatchItem(String id, PromptRequest request) {
  /** Refuses missing parts. */
  public BatchItem {
    Objects.requireNonNull(request, "request");
    if (id == null || id.isEmpty()) {
      throw new IllegalArgumentException("a batch item needs an id");
    }
  }
}
