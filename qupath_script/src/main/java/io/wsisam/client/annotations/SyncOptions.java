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
public record SyncOptions(String author, String project, Direction direction, Side resolve, boolean dryRun) {
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
  public SyncOptions {
    Objects.requireNonNull(author, "author");
    Objects.requireNonNull(project, "project");
    Objects.requireNonNull(direction, "direction");
  }

  /** Both ways, conflicts left. */
  public static SyncOptions by(String author) {
    return new SyncOptions(author, "", Direction.BOTH, null, false);
  }

  /** Of this project. */
  public SyncOptions ofProject(String name) {
    return new SyncOptions(author, name, direction, resolve, dryRun);
  }

  /** One way. */
  public SyncOptions only(Direction newDirection) {
    return new SyncOptions(author, project, newDirection, resolve, dryRun);
  }

  /** With all conflicts settled. */
  public SyncOptions settledBy(Side side) {
    return new SyncOptions(author, project, direction, side, dryRun);
  }

  /** Without doing anything. */
  public SyncOptions dry() {
    return new SyncOptions(author, project, direction, resolve, true);
  }
}
