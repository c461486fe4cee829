package io.wsisam.extension;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/** Where the text of a script comes from: the jar, unless the user has changed the copy among the user scripts. */
final class ScriptSources {
  /** In the order of the menu. What a jar does not hold is not offered. */
  static final List<String> KNOWN =
      List.of("WsiSamClicks", "WsiSamAnnotate", "WsiSamEverything", "WsiSamLike", "WsiSamReview", "WsiSamSync");

  private static final String IN_THE_JAR = "io/wsisam/scripts/";
  private static final Path AMONG_THE_USERS = Path.of("scripts", "WSI-SAM");

  private final Supplier<Path> userDirectory;
  private final ClassLoader jar;

  /**
   * The sources.
   *
   * @param userDirectory QuPath's user directory, or null
   * @param jar that has the scripts as resources
   */
  ScriptSources(Supplier<Path> userDirectory, ClassLoader jar) {
    this.userDirectory = userDirectory;
    this.jar = jar;
  }

  /** Names of the scripts that the jar holds. */
  List<String> names() {
    return KNOWN.stream().filter(name -> jar.getResource(resource(name)) != null).toList();
  }

  /** The text in the jar. */
  String carried(String name) {
    try (InputStream stream = jar.getResourceAsStream(resource(name))) {
      return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException damaged) {
      throw new UncheckedIOException(damaged);
    }
  }

  /** The user's own copy of a script, where it says something else than the jar's. */
  Optional<Path> own(String name) {
    Path directory = userDirectory.get();
    if (directory == null) {
      return Optional.empty();
    }
    Path copy = directory.resolve(AMONG_THE_USERS).resolve(name + ".groovy");
    try {
      boolean changed = Files.isRegularFile(copy) && !plain(Files.readString(copy)).equals(plain(carried(name)));
      return changed ? Optional.of(copy) : Optional.empty();
    } catch (IOException unreadable) {
      return Optional.empty();
    }
  }

  /** An editor may write other ends of lines. */
  private static String plain(String text) {
    return text.replace("\r\n", "\n").stripTrailing();
  }

  private static String resource(String name) {
    return IN_THE_JAR + name + ".groovy";
  }
}
