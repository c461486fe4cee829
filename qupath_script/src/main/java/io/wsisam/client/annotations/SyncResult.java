package io.wsisam.client.annotations;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * What became of an image's sync. The store's part is done; {@code put} and {@code remove} are the image's.
 *
 * @param put to be put into the image in place of what has the same id, or to be added
 * @param remove ids to be taken from the image; what lies inside them stays
 * @param storeId the store's own id
 * @param synced revisions to be noted in the image's record once that is done, by the annotations' ids; see {@link
 *     #record}
 * @param forgotten ids to be taken from the record
 * @param actions all that is done, waits or is in conflict
 * @param unchanged how many annotations are the same on both sides
 */
public record SyncResult(
    List<StoredAnnotation> put,
    List<String> remove,
    String storeId,
    Map<String, Long> synced,
    List<String> forgotten,
    List<SyncAction> actions,
    int unchanged) {
  /** Copies the lists. */
  public SyncResult {
    put = List.copyOf(put);
    remove = List.copyOf(remove);
    synced = Map.copyOf(synced);
    forgotten = List.copyOf(forgotten);
    actions = List.copyOf(actions);
  }

  /** How many conflicts there are. */
  public long conflicts() {
    return actions.stream().filter(SyncAction::conflict).count();
  }

  /**
   * The image's record from now on.
   *
   * @param before the record that was synced with
   * @param digests of what the image now holds, by id, of all in {@code synced} at least; what has none there is not noted
   */
  public SyncState record(SyncState before, Map<String, String> digests) {
    Map<String, SyncState.Base> bases =
        new HashMap<>(before.storeId().equals(storeId) ? before.bases() : Map.of());
    forgotten.forEach(bases::remove);
    synced.forEach(
        (id, revision) -> {
          if (digests.containsKey(id)) {
            bases.put(id, new SyncState.Base(revision, digests.get(id)));
          }
        });
    return new SyncState(storeId, bases);
  }
}
