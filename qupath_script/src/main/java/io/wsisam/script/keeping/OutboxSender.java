package io.wsisam.script.keeping;

import io.wsisam.client.annotations.AnnotationChange;
import io.wsisam.client.annotations.SavedRevision;
import io.wsisam.client.connection.WsiSamException;
import java.io.IOException;
import java.util.HashSet;
import java.util.Set;
import java.util.function.Predicate;

/** Sends what waits in an outbox, in its order. Blocks: not for the thread of a window. */
public final class OutboxSender {
  /** Somebody else's version is newer: a sync settles it. */
  private static final Set<String> OVERTAKEN = Set.of("REVISION_CONFLICT", "ANNOTATION_NOT_FOUND");

  /** About the change itself: it would be refused again. All other errors are waited out. */
  private static final Set<String> REFUSED =
      Set.of("INVALID_SHAPE", "INVALID_FIELD", "PROJECT_NOT_YOURS", "REQUEST_ID_REUSED");

  /** The way to the store. */
  @FunctionalInterface
  public interface Line {
    /** Makes a change; throws {@link WsiSamException}. */
    SavedRevision send(AnnotationChange change);
  }

  /** Hears what became of changes. */
  public interface Listener {
    /** It is made, and lies in the outbox until the image's record knows it. */
    void made(OutboxEntry entry);

    /** The store has a newer version; the change is dropped, and a sync compares both. */
    void overtaken(OutboxEntry entry, WsiSamException why);

    /** The store does not take it; it is set aside, and so is what was to follow. */
    void refused(OutboxEntry entry, WsiSamException why);
  }

  private final Outbox outbox;

  public OutboxSender(Outbox outbox) {
    this.outbox = outbox;
  }

  /**
   * Sends what waits.
   *
   * @param which which entries may be sent this way
   * @return what keeps the rest from being sent for now; null when nothing is left
   * @throws IOException the outbox cannot be written
   */
  public WsiSamException send(Predicate<OutboxEntry> which, Line line, Listener listener) throws IOException {
    Set<String> over = new HashSet<>();
    for (OutboxEntry seen : outbox.entries()) {
      if (!seen.isWaiting() || !which.test(seen)) {
        continue;
      }
      if (over.contains(seen.id())) {
        outbox.remove(seen);
        continue;
      }
      // Read anew: the one before has said which revision it is made to; or it was taken back meanwhile.
      OutboxEntry entry = outbox.entries().stream().filter(seen::isTheSame).findFirst().orElse(null);
      if (entry == null || !entry.isWaiting()) {
        continue;
      }
      outbox.attempting(entry);
      try {
        listener.made(outbox.made(entry, line.send(entry.change()).revision()));
      } catch (WsiSamException why) {
        if (OVERTAKEN.contains(why.reason())) {
          outbox.remove(entry);
          over.add(entry.id());
          listener.overtaken(entry, why);
        } else if (REFUSED.contains(why.reason())) {
          outbox.refused(entry);
          over.add(entry.id());
          listener.refused(entry, why);
        } else {
          return why;
        }
      }
    }
    return null;
  }
}
