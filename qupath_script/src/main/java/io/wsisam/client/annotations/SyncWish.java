package io.wsisam.client.annotations;

import java.util.Objects;

/**
 * How an image is to be synced.
 *
 * @param author who makes the image's changes; not empty
 * @param project what new annotations belong to; may be empty
 * @param direction which side may be changed
 * @param resolve whose version all conflicts are settled with; null leaves them
 * @param dryRun say what would be done, and do nothing
 */
public record SyncWish(String author, String project, Direction direction, Side resolve, boolean dryRun) {
  /** Which side may be changed. */
  public enum Direction {
    /** Both. */
    BOTH,
    /** The image only. */
    TO_IMAGE,
    /** The store only. */
    TO_STORE
  }

  /** Whose version wins. */
  public enum Side {
    /** The store's. */
    STORE,
    /** The image's. */
    IMAGE
  }

  /** Checks what is needed. */
  public SyncWish {
    Objects.requireNonNull(author, "author");
    Objects.requireNonNull(project, "project");
    Objects.requireNonNull(direction, "direction");
  }

  /** Both ways, conflicts left. */
  public static SyncWish by(String author) {
    return new SyncWish(author, "", Direction.BOTH, null, false);
  }

  /** Of this project. */
  public SyncWish ofProject(String name) {
    return new SyncWish(author, name, direction, resolve, dryRun);
  }

  /** One way. */
  public SyncWish only(Direction newDirection) {
    return new SyncWish(author, project, newDirection, resolve, dryRun);
  }

  /** With all conflicts settled. */
  public SyncWish settledBy(Side side) {
    return new SyncWish(author, project, direction, side, dryRun);
  }

  /** Without doing anything. */
  public SyncWish dry() {
    return new SyncWish(author, project, direction, resolve, true);
  }
}
