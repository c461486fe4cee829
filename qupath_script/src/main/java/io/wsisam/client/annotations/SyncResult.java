package io.wsisam.client.annotations;

import java.util.List;

/**
 * What became of an image's sync. The store's part is done; {@code put} and {@code remove} are the image's.
 *
 * @param put to be put into the image in place of what has the same id, or to be added
 * @param remove ids to be taken from the image; what lies inside them stays
 * @param state to be kept with the image once that is done
 * @param actions all that is done, waits or is in conflict
 * @param unchanged how many annotations are the same on both sides
 */
public record SyncResult(
    List<StoredAnnotation> put, List<String> remove, SyncState state, List<SyncAction> actions, int unchanged) {
  /** Copies the lists. */
  public SyncResult {
    put = List.copyOf(put);
    remove = List.copyOf(remove);
    actions = List.copyOf(actions);
  }

  /** How many conflicts there are. */
  public long conflicts() {
    return actions.stream().filter(SyncAction::conflict).count();
  }
}
