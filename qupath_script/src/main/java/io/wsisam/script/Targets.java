package io.wsisam.script;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * Where each object's result belongs: what it was requested for, whatever the user has opened meanwhile. Safe to use from any
 * thread.
 *
 * @param <T> whatever a script needs to find the place again: an image's data, a plane, a class
 */
public final class Targets<T> {
  private final Map<String, T> targets = new LinkedHashMap<>();

  /** Notes, or changes, where an object's answer belongs. */
  public synchronized void put(String objectId, T target) {
    targets.put(Objects.requireNonNull(objectId), Objects.requireNonNull(target));
  }

  /** Where an object's result belongs; empty when it was not requested, or it was removed. */
  public synchronized Optional<T> of(String objectId) {
    return Optional.ofNullable(targets.get(objectId));
  }

  /** Forgets an object; its place, if it had one. */
  public synchronized Optional<T> remove(String objectId) {
    return Optional.ofNullable(targets.remove(objectId));
  }

  /** The objects whose place fulfils a condition, in the order in which they came. */
  public synchronized List<String> objectsOf(Predicate<? super T> which) {
    List<String> found = new ArrayList<>();
    targets.forEach(
        (objectId, target) -> {
          if (which.test(target)) {
            found.add(objectId);
          }
        });
    return found;
  }

  /** Objects that have a place. */
  public synchronized int size() {
    return targets.size();
  }

  /** Forgets all. */
  public synchronized void clear() {
    targets.clear();
  }
}
