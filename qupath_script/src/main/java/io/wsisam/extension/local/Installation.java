package io.wsisam.extension.local;

import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Optional;

/**
 * An installation of wsisam, as {@code wsisam qupath install} noted it in QuPath's user directory.
 *
 * @param python the Python that has it
 * @param version its release
 */
public record Installation(Path python, String version) {
  /** Where the note is, in QuPath's user directory. */
  static final Path NOTE = Path.of("wsisam", "installation.json");

  /**
   * What is noted; empty where nothing is, or where the note cannot be read.
   *
   * @param userDirectory QuPath's, or null
   */
  public static Optional<Installation> noted(Path userDirectory) {
    if (userDirectory == null) {
      return Optional.empty();
    }
    try {
      JsonObject note = JsonParser.parseString(Files.readString(userDirectory.resolve(NOTE))).getAsJsonObject();
      return Optional.of(new Installation(Path.of(note.get("python").getAsString()), note.get("wsisam").getAsString()));
    } catch (IOException
        | JsonParseException
        | IllegalStateException
        | NullPointerException
        | UnsupportedOperationException
        | InvalidPathException none) {
      return Optional.empty();
    }
  }

  /** Whether its Python is still there, and can be run. */
  public boolean isThere() {
    return Files.isRegularFile(python) && Files.isExecutable(python);
  }
}
