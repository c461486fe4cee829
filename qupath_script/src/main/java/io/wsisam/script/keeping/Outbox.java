package io.wsisam.script.keeping;

import io.wsisam.client.annotations.AnnotationChange;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Stream;

/**
 * Changes on their way to a store: a file each, written whole before anything is sent, and kept until the image's record knows
 * what became of it. What one process has written, another sends, under the same request id. Safe to use from any thread.
 */
public final class Outbox {
  private static final String ENDING = ".json";

  private final Path folder;

  /** Request ids of changes that this process has written and never tried to send. */
  private final Set<String> unsent = new HashSet<>();

  /** In a folder, which is made with the first change. */
  public Outbox(Path folder) {
    this.folder = folder;
  }

  /**
   * Writes a change down. Where an earlier change of the same annotation waits, it is made to what that one makes.
   *
   * @param known the store's id, or ""
   * @param digest of what the image holds then; "" for a deletion
   * @throws IOException it cannot be written; then it must not be sent
   */
  public synchronized OutboxEntry add(
      AnnotationChange change, String known, String server, String image, String slide, String digest)
      throws IOException {
    List<OutboxEntry> all = entries();
    Optional<OutboxEntry> before = latest(all, change.id());
    long sequence = 1 + all.stream().mapToLong(OutboxEntry::sequence).max().orElse(0);
    AnnotationChange fitting = before.isPresent() && !before.get().isWaiting() ? change.madeTo(before.get().made()) : change;
    boolean after = before.isPresent() && before.get().isWaiting();
    OutboxEntry entry = new OutboxEntry(sequence, known, server, image, slide, digest, fitting, after, 0);
    write(entry);
    unsent.add(entry.change().requestId());
    return entry;
  }

  /** All, in their order. What is no entry is set aside. */
  public synchronized List<OutboxEntry> entries() {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    List<OutboxEntry> found = new ArrayList<>();
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.filter(one -> one.getFileName().toString().endsWith(ENDING)).toList()) {
        read(file).ifPresent(found::add);
      }
    } catch (IOException unreadable) {
      throw new UncheckedIOException(unreadable);
    }
    found.sort(Comparator.comparingLong(OutboxEntry::sequence));
    return found;
  }

  /** The newest change of an annotation. */
  public Optional<OutboxEntry> latest(String id) {
    return latest(entries(), id);
  }

  private static Optional<OutboxEntry> latest(List<OutboxEntry> all, String id) {
    return all.stream().filter(one -> one.id().equals(id)).reduce((first, second) -> second);
  }

  /** Notes that it may be on its way from now on. */
  synchronized void attempting(OutboxEntry entry) {
    unsent.remove(entry.change().requestId());
  }

  /**
   * Takes a change back that this process has written and not sent yet.
   *
   * @return whether it was taken back; else it may have been made
   */
  public synchronized boolean takeBack(OutboxEntry entry) {
    if (!unsent.remove(entry.change().requestId())) {
      return false;
    }
    remove(entry);
    return true;
  }

  /** Notes that it was made, and what later changes of the same annotation are made to. */
  synchronized OutboxEntry made(OutboxEntry entry, long revision) throws IOException {
    for (OutboxEntry next : entries()) {
      if (next.id().equals(entry.id()) && next.sequence() > entry.sequence() && next.after()) {
        write(next.madeTo(revision));
        break;
      }
    }
    OutboxEntry done = entry.sent(revision);
    write(done);
    return done;
  }

  /** Forgets a change. */
  public synchronized void remove(OutboxEntry entry) {
    try {
      Files.deleteIfExists(file(entry));
    } catch (IOException unwritable) {
      throw new UncheckedIOException(unwritable);
    }
  }

  /** Sets a change aside that the store refuses; the file stays for whoever looks. */
  synchronized void refused(OutboxEntry entry) throws IOException {
    setAside(file(entry));
  }

  private Path file(OutboxEntry entry) {
    return folder.resolve("%012d-%s%s".formatted(entry.sequence(), entry.change().requestId(), ENDING));
  }

  private Optional<OutboxEntry> read(Path file) throws IOException {
    try {
      return Optional.of(OutboxEntry.parse(Files.readString(file)));
    } catch (NoSuchFileException sentByAnother) {
      return Optional.empty();
    } catch (RuntimeException damaged) {
      setAside(file);
      return Optional.empty();
    }
  }

  private static void setAside(Path file) throws IOException {
    Files.move(
        file, file.resolveSibling(file.getFileName() + ".set-aside"), StandardCopyOption.REPLACE_EXISTING);
  }

  private void write(OutboxEntry entry) throws IOException {
    Files.createDirectories(folder);
    // Not a file of Java's for temporary things: others who work in the project could not read it.
    Path side = folder.resolve(".wsisam-" + UUID.randomUUID());
    try {
      Files.writeString(side, entry.toText());
      try (FileChannel channel = FileChannel.open(side, StandardOpenOption.WRITE)) {
        channel.force(true);
      }
      Files.move(side, file(entry), StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(side);
    }
  }
}
