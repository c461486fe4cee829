package io.wsisam.client.annotations;

import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * What is done with one annotation. {@link #action} and {@link #reason} say it to people, in QuPath's words.
 *
 * @param id the annotation
 * @param verb what is done
 * @param outcome whether it is done
 * @param imageChange what the image did with it since the last sync; null for what was refused before it was compared
 * @param storeChange what the store did with it; null as with imageChange
 * @param imageFields in what the image changed it, by the names of the contract's fields
 * @param storeFields in what the store changed it
 * @param refusalReason the stable reason of what was refused; "" for the others
 * @param refusalText why it was refused, for people; "" for the others
 * @param label what people call it; "" where neither side knows it any more
 * @param storeAuthor who made the store's latest revision; "" where it is unknown
 * @param storeUpdateTime when; null where the store does not know it
 */
public record SyncAction(
    String id,
    Verb verb,
    Outcome outcome,
    Change imageChange,
    Change storeChange,
    List<String> imageFields,
    List<String> storeFields,
    String refusalReason,
    String refusalText,
    String label,
    String storeAuthor,
    Instant storeUpdateTime) {
  private static final Map<String, String> FIELDS =
      Map.of(
          "shape", "geometry",
          "path_class", "class",
          "name", "name",
          "rgb", "colour",
          "locked", "lock",
          "measurements", "measurements",
          "metadata", "metadata");

  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm 'UTC'").withZone(ZoneOffset.UTC);

  /** What two people can disagree about; the rest is merged. */
  private static final Set<String> SUBSTANCE = Set.of("shape", "path_class", "name");

  /** What is done. */
  public enum Verb {
    /** The image gets it. */
    ADD_TO_IMAGE("add to project"),
    /** The image gets the store's version. */
    UPDATE_IN_IMAGE("update in project"),
    /** It goes from the image. */
    REMOVE_FROM_IMAGE("remove from project"),
    /** The store gets it. */
    ADD_TO_STORE("add to store"),
    /** The store gets the image's version. */
    UPDATE_IN_STORE("revise in store"),
    /** It is deleted in the store. */
    DELETE_IN_STORE("delete in store"),
    /** Both sides get what they lack. */
    MERGE("merge in both"),
    /** Each side keeps what it has. */
    KEEP("left alone");

    private final String words;

    Verb(String words) {
      this.words = words;
    }
  }

  /** Whether it is done. */
  public enum Outcome {
    /** It is; in a dry run, it would be. */
    DONE,
    /** It waits for another direction. */
    WAITING,
    /** Both sides changed it differently, and keep their own. */
    CONFLICT,
    /** All that was synced is missing in the image, so its deletion is not believed. */
    ALL_MISSING,
    /** It cannot be done. */
    REFUSED
  }

  /** What one side did since the last sync. */
  public enum Change {
    /** Nothing; or it was never there. */
    NONE,
    /** It has it, and it was not synced before. */
    ADDED,
    /** It changed it. */
    CHANGED,
    /** It deleted it. */
    DELETED,
    /** The store does not know it any more. */
    FORGOTTEN
  }

  /** Copies the lists. */
  public SyncAction {
    imageFields = List.copyOf(imageFields);
    storeFields = List.copyOf(storeFields);
  }

  /** Whether somebody has to settle it. */
  public boolean conflict() {
    return outcome == Outcome.CONFLICT || outcome == Outcome.ALL_MISSING;
  }

  /** Whether both sides had it when they were last synced, and neither has it now. */
  public boolean gone() {
    return verb == Verb.KEEP
        && imageChange == Change.DELETED
        && (storeChange == Change.DELETED || storeChange == Change.FORGOTTEN);
  }

  /** Whether it waits for another direction. */
  public boolean held() {
    return outcome == Outcome.WAITING;
  }

  /** Whether it cannot be done. */
  public boolean refused() {
    return outcome == Outcome.REFUSED;
  }

  /** What is done, in a few words. */
  public String action() {
    if (verb == Verb.KEEP && conflict()) {
      return "conflict";
    }
    return gone() ? "deleted on both sides" : verb.words;
  }

  /** Why. */
  public String reason() {
    if (refused()) {
      return refusalText;
    }
    if (outcome == Outcome.ALL_MISSING) {
      return "all synced annotations are gone from this image in QuPath; if you deleted them, settle it so";
    }
    if (gone()) {
      return storeChange == Change.DELETED ? "deleted on both sides" : "gone from both";
    }
    if (storeChange == Change.FORGOTTEN) {
      return "the store does not know it any more";
    }
    boolean here = imageChange != Change.NONE;
    boolean there = storeChange != Change.NONE;
    if (here && there) {
      return both();
    }
    if (!here && !there) {
      return "the same on both sides";
    }
    return here ? alone(imageChange, "QuPath", imageFields) : alone(storeChange, "the store", storeFields);
  }

  private String both() {
    if (imageChange == Change.CHANGED && storeChange == Change.CHANGED) {
      return outcome == Outcome.CONFLICT
          ? "changed in QuPath (%s) and in the store (%s%s)"
              .formatted(listed(substance(imageFields)), listed(substance(storeFields)), by())
          : "changed in QuPath (%s) and in the store (%s), without disagreeing"
              .formatted(listed(imageFields), listed(storeFields));
    }
    if (imageChange == Change.ADDED && storeChange == Change.ADDED) {
      return outcome == Outcome.CONFLICT
          ? "on both sides, different, and not synced before; in the store" + by()
          : "on both sides, and not synced before";
    }
    if (imageChange == Change.ADDED) {
      return "in QuPath, but deleted in the store" + (conflict() ? by() : "");
    }
    String there = alone(storeChange, "the store", storeFields);
    if (conflict()) {
      there = there.endsWith(")") ? there.substring(0, there.length() - 1) + by() + ")" : there + by();
    }
    return alone(imageChange, "QuPath", imageFields) + ", " + there;
  }

  /** Who made the store's version, and when. */
  private String by() {
    if (storeUpdateTime == null) {
      return "";
    }
    return " by %s, %s".formatted(storeAuthor.isEmpty() ? "nobody named" : storeAuthor, TIME.format(storeUpdateTime));
  }

  private static String alone(Change change, String where, List<String> fields) {
    return switch (change) {
      case ADDED -> "new in " + where;
      case CHANGED -> "changed in %s (%s)".formatted(where, listed(fields));
      case DELETED -> "deleted in " + where;
      case NONE, FORGOTTEN -> throw new IllegalArgumentException(change.name());
    };
  }

  private static List<String> substance(List<String> fields) {
    return fields.stream().filter(SUBSTANCE::contains).toList();
  }

  private static String listed(List<String> fields) {
    return fields.stream().map(field -> FIELDS.getOrDefault(field, field)).collect(Collectors.joining(", "));
  }
}
