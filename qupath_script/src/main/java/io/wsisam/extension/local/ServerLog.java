package io.wsisam.extension.local;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What a server has written to its log, from its start on. Only this user can write there, so what it says is the server's. */
final class ServerLog {
  private static final Pattern SERVING = Pattern.compile("(?m)^wsisam: serving .* on .*:(\\d+)\\s*$");
  private static final String LOADING = "wsisam: loading the model";
  private static final Pattern NO_PACKAGE = Pattern.compile("No module named '?wsisam_server");
  private static final Pattern FULL = Pattern.compile("No space left on device|\\[Errno 28\\]|not enough space|database or disk is full");
  private static final Pattern MEMORY = Pattern.compile("MemoryError|can't allocate memory|not enough memory|bad_alloc");

  /** It writes where it listens, once, near the beginning. */
  private static final int MOST_BYTES = 1 << 18;

  private static final long FULL_BYTES = 1 << 14;

  private final Path file;
  private final String text;

  private ServerLog(Path file, String text) {
    this.file = file;
    this.text = text;
  }

  static ServerLog read(Path file) {
    try (var stream = Files.newInputStream(file)) {
      return new ServerLog(file, new String(stream.readNBytes(MOST_BYTES), StandardCharsets.UTF_8));
    } catch (IOException none) {
      return new ServerLog(file, "");
    }
  }

  /** Where the server listens; empty until it serves. */
  OptionalInt port() {
    Matcher serving = SERVING.matcher(text);
    return serving.find() ? OptionalInt.of(Integer.parseInt(serving.group(1))) : OptionalInt.empty();
  }

  StartStage stage() {
    return text.contains(LOADING) ? StartStage.LOADING_MODEL : StartStage.STARTING;
  }

  /**
   * Why a server ended, for people.
   *
   * @param exit its status
   */
  String whyEnded(Installation installation, int exit) {
    if (NO_PACKAGE.matcher(text).find()) {
      return gone(installation);
    }
    if (FULL.matcher(text).find() || isFull(file)) {
      return diskFull(file);
    }
    if (MEMORY.matcher(text).find()) {
      return "This computer has too little memory for the model: close other programs and try again. Its log: " + file;
    }
    List<String> lines = text.lines().map(String::strip).filter(line -> !line.isEmpty()).toList();
    String last = lines.isEmpty() ? "" : lines.get(lines.size() - 1);
    if (last.startsWith("Error: ")) {
      return "The server did not start: " + last.substring("Error: ".length());
    }
    if (last.isEmpty() || last.startsWith(LOADING) || SERVING.matcher(last).find()) {
      return ("The server was ended from outside while it started (status %d): by somebody, by a virus scanner, or because this"
              + " computer ran out of memory. Try again. Its log: %s")
          .formatted(exit, file);
    }
    return "The server did not start (status %d): %s. Its log: %s".formatted(exit, last, file);
  }

  static String gone(Installation installation) {
    return ("The installation of WSI-SAM that was noted is not there any more (%s). Install it again, and run"
            + " `wsisam qupath install`.")
        .formatted(installation.python());
  }

  /** Whether nothing more can be written where a file lies: then its words may be missing, too. */
  static boolean isFull(Path file) {
    try {
      return Files.getFileStore(file.getParent()).getUsableSpace() < FULL_BYTES;
    } catch (IOException unknown) {
      return false;
    }
  }

  static String diskFull(Path file) {
    return "The disk is full: free some space where " + file.getParent() + " lies, and try again.";
  }
}
