package io.wsisam.extension.local;

import io.wsisam.client.connection.ServerAddress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The server that QuPaths of this user share on this computer: one for a user directory. It ends with the last of them, unless
 * the user wants it to stay. One that a crash left behind is found by its record. Safe to use from any thread; methods block.
 */
public final class LocalServer {
  private static final Logger LOGGER = LoggerFactory.getLogger("WSI-SAM");
  private static final long POLL_MILLIS = 200;

  /** User directories whose server ends with this QuPath. */
  private static final Set<Path> ENDING = ConcurrentHashMap.newKeySet();

  private final Path userDirectory;
  private final LocalFolder folder;
  private final ProcessIdentity user;
  private final BooleanSupplier stays;

  /**
   * The server of a user directory.
   *
   * @param userDirectory QuPath's
   * @param stays whether the server goes on when the last QuPath ends; asked then
   */
  public LocalServer(Path userDirectory, BooleanSupplier stays) {
    this(userDirectory, stays, ProcessIdentity.own());
  }

  LocalServer(Path userDirectory, BooleanSupplier stays, ProcessIdentity user) {
    this.userDirectory = userDirectory;
    folder = new LocalFolder(userDirectory);
    this.stays = stays;
    this.user = user;
  }

  /** The installation that is noted. */
  public Optional<Installation> installation() {
    return Installation.noted(userDirectory);
  }

  /** The file that a server writes its words to. */
  public Path log() {
    return folder.log();
  }

  /** What is running now, also when it does not serve yet; the folders that it opens. */
  public Optional<List<String>> runningFolders() {
    return folder.running().map(LocalServerRecord::folders);
  }

  /**
   * Starts a server and waits until it serves. Where one runs already, takes that.
   *
   * @param slides folders whose slides it may open
   * @param progress told each stage, once
   * @throws LocalServerException it cannot be started; the text says why
   * @throws InterruptedException the user has called it off; what was started is ended
   */
  public RunningServer start(List<Path> slides, Consumer<StartStage> progress)
      throws LocalServerException, InterruptedException {
    try {
      return served(startedOrFound(slides, progress), progress);
    } catch (IOException problem) {
      if (Thread.interrupted()) {
        throw (InterruptedException) new InterruptedException().initCause(problem);
      }
      throw new LocalServerException(said(problem), problem);
    }
  }

  private Started startedOrFound(List<Path> slides, Consumer<StartStage> progress)
      throws IOException, LocalServerException, InterruptedException {
    try (LocalFolder.Lock held = folder.lock()) {
      Optional<LocalServerRecord> found = folder.running();
      if (found.isPresent()) {
        LocalServerRecord record = found.get().usedBy(user, true);
        held.write(record);
        return new Started(record, null, null);
      }
      Installation installation =
          installation().orElseThrow(() -> new LocalServerException("No installation of WSI-SAM is noted here."));
      if (!installation.isThere()) {
        throw new LocalServerException(ServerLog.gone(installation));
      }
      return started(held, installation, slides, progress);
    }
  }

  private Started started(
      LocalFolder.Lock held, Installation installation, List<Path> slides, Consumer<StartStage> progress)
      throws IOException, LocalServerException, InterruptedException {
    ServerCommand command = new ServerCommand(installation, folder);
    progress.accept(StartStage.MAKING_TOKEN);
    command.makeToken();
    List<String> folders = slides.stream().map(Path::toString).toList();
    Process process = command.serve(folders);
    LocalServerRecord record = new LocalServerRecord(ProcessIdentity.of(process.toHandle()), folders, List.of(user));
    try {
      held.write(record);
    } catch (IOException unknown) {
      process.destroy(); // nobody would find it
      throw unknown;
    }
    return new Started(record, process, installation);
  }

  private RunningServer served(Started started, Consumer<StartStage> progress)
      throws LocalServerException, InterruptedException {
    endWithQuPath();
    StartStage told = null;
    try {
      while (true) {
        ServerLog log = ServerLog.read(folder.log());
        boolean alive = started.record.server().running().isPresent();
        OptionalInt port = log.port();
        if (alive && port.isPresent()) {
          String address = new ServerAddress("127.0.0.1", port.getAsInt(), false).toString();
          return new RunningServer(address, folder.token(), started.record.folders(), started.process == null);
        }
        if (!alive) {
          throw new LocalServerException(why(started));
        }
        if (log.stage() != told) {
          told = log.stage();
          progress.accept(told);
        }
        Thread.sleep(POLL_MILLIS);
      }
    } catch (InterruptedException calledOff) {
      release(false);
      throw calledOff;
    }
  }

  private String why(Started started) throws InterruptedException {
    if (started.process == null) {
      return "The server that another QuPath was starting has ended. Try again. Its log: " + folder.log();
    }
    int exit = started.process.waitFor();
    return ServerLog.read(folder.log()).whyEnded(started.installation, exit); // with its last words
  }

  private String said(IOException problem) {
    if (ServerLog.isFull(folder.log())) {
      return ServerLog.diskFull(folder.log());
    }
    return "The server was not started: %s cannot be written (%s).".formatted(folder.path(), problem.getMessage());
  }

  /** Uses a server that runs already, such as one that a crash left behind: it ends with this QuPath then. */
  public boolean adopt() {
    try {
      if (!Files.isRegularFile(folder.record()) || folder.running().isEmpty()) {
        return false;
      }
      boolean adopted;
      try (LocalFolder.Lock held = folder.lock()) {
        Optional<LocalServerRecord> found = folder.running();
        adopted = found.isPresent();
        if (adopted) {
          held.write(found.get().usedBy(user, true));
        }
      }
      if (adopted) {
        endWithQuPath();
      }
      return adopted;
    } catch (IOException notWritable) {
      LOGGER.debug("The local server is not adopted", notWritable);
      return false;
    }
  }

  /**
   * Ends the server, whoever uses it.
   *
   * @return whether one ran
   */
  public boolean stop() throws IOException {
    try (LocalFolder.Lock held = folder.lock()) {
      Optional<LocalServerRecord> found = folder.running();
      found.ifPresent(LocalServer::end);
      held.remove();
      return found.isPresent();
    }
  }

  /**
   * This QuPath uses it no more. The server ends if no other one does.
   *
   * @param goesOn whether it does not even then
   */
  void release(boolean goesOn) {
    if (!Files.isRegularFile(folder.record())) {
      return;
    }
    try (LocalFolder.Lock held = folder.lock()) {
      Optional<LocalServerRecord> found = folder.running();
      if (found.isEmpty()) {
        return;
      }
      LocalServerRecord left = found.get().usedBy(user, false);
      if (left.users().isEmpty() && !goesOn) {
        end(left);
        held.remove();
      } else {
        held.write(left);
      }
    } catch (IOException notWritable) {
      LOGGER.debug("The local server is not released", notWritable);
    }
  }

  private void endWithQuPath() {
    if (ENDING.add(userDirectory)) {
      Runtime.getRuntime().addShutdownHook(new Thread(() -> release(stays.getAsBoolean()), "wsisam-local-server"));
    }
  }

  /** Asked to end, it answers what it was asked; on Windows it ends at once. What it acknowledged is on the disk either way. */
  private static void end(LocalServerRecord record) {
    record.server().running().ifPresent(ProcessHandle::destroy);
  }

  /** A server that is not known to serve yet. Process and installation are null of one that another QuPath started. */
  private record Started(LocalServerRecord record, Process process, Installation installation) {}
}
