package io.wsisam.client.annotations;

import java.util.Map;
import java.util.TreeMap;

/**
 * What an image and a store had in common when they were last synced. It is kept with the image, so that both share one
 * fate: an image that is restored from a backup brings the state of that time with it.
 *
 * @param storeId the store's own id; "" when nothing was synced
 * @param revisions of the annotations, by their ids
 */
public record SyncState(String storeId, Map<String, Long> revisions) {
  /** Copies the map. */
  public SyncState {
    revisions = Map.copyOf(revisions);
  }

  /** Of an image that was never synced. */
  public static SyncState none() {
    return new SyncState("", Map.of());
  }

  /** As plain text, for a property of the image. */
  public String toText() {
    StringBuilder text = new StringBuilder(storeId);
    new TreeMap<>(revisions).forEach((id, revision) -> text.append('\n').append(id).append(' ').append(revision));
    return text.toString();
  }

  /** From such a text. What is no such text counts as never synced, by which nothing is lost. */
  public static SyncState parse(String text) {
    if (text == null || text.isEmpty()) {
      return none();
    }
    String[] lines = text.split("\n");
    Map<String, Long> revisions = new TreeMap<>();
    try {
      for (int n = 1; n < lines.length; n++) {
        String[] words = lines[n].split(" ");
        revisions.put(words[0], Long.valueOf(words[1]));
      }
    } catch (NumberFormatException | ArrayIndexOutOfBoundsException damaged) {
      return none();
    }
    return new SyncState(lines[0], revisions);
  }
}
