package io.wsisam.client.annotations;

import java.util.Map;
import java.util.TreeMap;

/**
 * What an image and a store had in common when they were last synced: the record of one image. It must share the fate of
 * the image: one that is restored from a backup is compared with the record of that time.
 *
 * @param storeId the store's own id; "" when nothing was synced
 * @param bases of the annotations, by their ids
 */
public record SyncState(String storeId, Map<String, Base> bases) {
  /**
   * What both sides held of one annotation.
   *
   * @param revision the store's
   * @param digest of what the image held, see {@link StoredAnnotation#digest}; "" where only the revision is known
   */
  public record Base(long revision, String digest) {}

  /** Copies the map. */
  public SyncState {
    bases = Map.copyOf(bases);
  }

  /** Of an image that was never synced. */
  public static SyncState none() {
    return new SyncState("", Map.of());
  }

  /** The same without digests: all is sent in full then. */
  public SyncState withoutDigests() {
    Map<String, Base> plain = new TreeMap<>();
    bases.forEach((id, base) -> plain.put(id, new Base(base.revision(), "")));
    return new SyncState(storeId, plain);
  }

  /** As plain text, for a property of an image that belongs to no project. */
  public String toText() {
    StringBuilder text = new StringBuilder(storeId);
    new TreeMap<>(bases)
        .forEach((id, base) -> text.append('\n').append(id).append(' ').append(base.revision()).append(' ').append(base.digest()));
    return text.toString();
  }

  /**
   * From such a text. One without digests is of a version that had none. What is no such text counts as never synced, by
   * which nothing is lost.
   */
  public static SyncState parse(String text) {
    if (text == null || text.isEmpty()) {
      return none();
    }
    String[] lines = text.split("\n");
    Map<String, Base> bases = new TreeMap<>();
    try {
      for (int n = 1; n < lines.length; n++) {
        String[] words = lines[n].split(" ");
        bases.put(words[0], new Base(Long.parseLong(words[1]), words.length > 2 ? words[2] : ""));
      }
    } catch (NumberFormatException | ArrayIndexOutOfBoundsException damaged) {
      return none();
    }
    return new SyncState(lines[0], bases);
  }
}
