package io.wsisam.extension.local;

import io.wsisam.script.PrivateFile;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;

/** The folder of the local server in QuPath's user directory, which only this user reads. */
final class LocalFolder {
  /** In QuPath's user directory. {@code wsisam qupath uninstall} removes it. */
  private static final Path PLACE = Path.of("wsisam", "local");

  /** A file's lock holds between processes, and not between two threads of one. */
  private static final ReentrantLock IN_THIS_PROCESS = new ReentrantLock();

  private final Path folder;

  LocalFolder(Path userDirectory) {
    folder = userDirectory.resolve(PLACE);
  }

  Path path() {
    return folder;
  }

  /** The hashes that the server compares tokens with. */
  Path tokens() {
    return folder.resolve("tokens.json");
  }

  /** The token. */
  Path token() {
    return folder.resolve("local.token");
  }

  /** Which slides the server may open. */
  Path configuration() {
    return folder.resolve("server.toml");
  }

  Path record() {
    return folder.resolve("server.json");
  }

  Path log() {
    return folder.resolve("server.log");
  }

  /**
   * Until it is closed, no other QuPath of this user directory holds it. Makes the folder.
   *
   * @throws IOException the folder cannot be made, or the thread was interrupted
   */
  Lock lock() throws IOException {
    IN_THIS_PROCESS.lock();
    try {
      PrivateFile.folder(folder);
      FileChannel channel =
          FileChannel.open(folder.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      try {
        channel.lock(); // released with its channel
      } catch (IOException failed) {
        channel.close();
        throw failed;
      }
      return new Lock(channel);
    } catch (IOException | RuntimeException failed) {
      IN_THIS_PROCESS.unlock();
      throw failed;
    }
  }

  /** The record of a server that runs; empty where none does. */
  Optional<LocalServerRecord> running() {
    return LocalServerRecord.read(record()).filter(record -> record.server().running().isPresent());
  }

  /** Held by one thread of one process, which alone changes the record. */
  final class Lock implements AutoCloseable {
    private final FileChannel channel;

    private Lock(FileChannel channel) {
      this.channel = channel;
    }

    void write(LocalServerRecord now) throws IOException {
      now.write(record());
    }

    void remove() throws IOException {
      Files.deleteIfExists(record());
    }

    @Override
    public void close() throws IOException {
      try {
        channel.close();
      } finally {
        IN_THIS_PROCESS.unlock();
      }
    }
  }
}
