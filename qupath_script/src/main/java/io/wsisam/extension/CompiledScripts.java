package io.wsisam.extension;

import groovy.lang.GroovyClassLoader;
import groovy.lang.GroovySystem;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.codehaus.groovy.control.CompilationUnit;
import org.codehaus.groovy.control.CompilerConfiguration;
import org.codehaus.groovy.control.customizers.ImportCustomizer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The jar's Groovy, compiled by the running QuPath against itself, once: the classes are kept in a folder for each jar, QuPath,
 * Groovy and Java. They cannot be built with the jar, because QuPath's classes are in no public repository and differ by version.
 */
final class CompiledScripts {
  private static final Logger LOGGER = LoggerFactory.getLogger("WSI-SAM");

  /** In QuPath's user directory. {@code wsisam qupath uninstall} removes it. */
  static final String FOLDER = "wsisam-classes";

  private static final Duration KEPT_UNUSED = Duration.ofDays(90);
  private static final int KEY_DIGITS = 16;
  private static final String STATIC_IMPORTS = "qupath.lib.gui.scripting.QPEx"; // as QuPath gives every script

  private CompiledScripts() {}

  /**
   * A class loader with the classes of all scripts.
   *
   * @param scripts the scripts' texts, by name
   * @param helpers names of Groovy classes of the jar that no script imports
   * @param userDirectory where the classes are kept; null for nowhere
   * @param identity what the classes depend on beside the sources: versions
   * @param parent has QuPath's classes and the jar's
   * @throws IOException the classes cannot be written anywhere
   */
  static ClassLoader load(
      Map<String, String> scripts, List<String> helpers, Path userDirectory, String identity, ClassLoader parent)
      throws IOException {
    Map<String, String> sources = new TreeMap<>(scripts);
    String versions = String.join(" ", identity, GroovySystem.getVersion(), System.getProperty("java.version"));
    if (userDirectory != null) {
      try {
        Path kept = userDirectory.resolve(FOLDER).resolve(key(sources, versions));
        if (!Files.isDirectory(kept)) {
          Files.createDirectories(kept.getParent());
          keep(compile(sources, helpers, parent, kept.getParent()), kept);
        }
        Files.setLastModifiedTime(kept, FileTime.from(Instant.now()));
        removeUnused(kept.getParent());
        return loader(kept, parent);
      } catch (IOException notWritable) {
        LOGGER.info("The compiled scripts cannot be kept ({}): they are compiled anew in each session", notWritable.toString());
      }
    }
    Path temporary = Files.createTempDirectory("wsisam-classes");
    Runtime.getRuntime().addShutdownHook(new Thread(() -> remove(temporary)));
    return loader(compile(sources, helpers, parent, temporary), parent);
  }

  private static Path compile(Map<String, String> scripts, List<String> helpers, ClassLoader parent, Path where)
      throws IOException {
    Path folder = Files.createTempDirectory(where, "new-");
    long start = System.nanoTime();
    CompilerConfiguration configuration = new CompilerConfiguration();
    configuration.setTargetDirectory(folder.toFile());
    configuration.addCompilationCustomizers(new ImportCustomizer().addStaticStars(STATIC_IMPORTS));
    // What a script imports of the jar is found as source, and becomes part of the same unit.
    GroovyClassLoader found = new GroovyClassLoader(parent, configuration);
    CompilationUnit unit = new CompilationUnit(configuration, null, found);
    scripts.forEach((name, text) -> unit.addSource(name + ".groovy", text));
    helpers.forEach(name -> unit.addSource(parent.getResource(name.replace('.', '/') + ".groovy")));
    unit.compile();
    LOGGER.info("Compiled the scripts in {} s", Math.round((System.nanoTime() - start) / 1e8) / 10d);
    return folder;
  }

  /** Whole or not at all: another QuPath may do the same at this moment. */
  private static void keep(Path compiled, Path kept) throws IOException {
    try {
      Files.move(compiled, kept, StandardCopyOption.ATOMIC_MOVE);
    } catch (FileSystemException another) {
      remove(compiled);
      if (!Files.isDirectory(kept)) {
        throw another;
      }
    }
  }

  private static ClassLoader loader(Path folder, ClassLoader parent) throws IOException {
    return new URLClassLoader("wsisam-scripts", new URL[] {folder.toUri().toURL()}, parent);
  }

  private static String key(Map<String, String> sources, String versions) throws IOException {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      digest.update(versions.getBytes(StandardCharsets.UTF_8));
      digest.update(JarDigest.ofOwn());
      sources.forEach((name, text) -> digest.update((name + '\0' + text + '\0').getBytes(StandardCharsets.UTF_8)));
      return HexFormat.of().formatHex(digest.digest()).substring(0, KEY_DIGITS);
    } catch (NoSuchAlgorithmException cannotBe) {
      throw new IllegalStateException(cannotBe);
    }
  }

  /** Classes of former versions. Not at once: another QuPath of the same user directory may use them. */
  private static void removeUnused(Path folder) throws IOException {
    FileTime before = FileTime.from(Instant.now().minus(KEPT_UNUSED));
    try (Stream<Path> all = Files.list(folder)) {
      for (Path one : all.toList()) {
        if (Files.getLastModifiedTime(one).compareTo(before) < 0) {
          remove(one);
        }
      }
    }
  }

  private static void remove(Path folder) {
    try (Stream<Path> all = Files.walk(folder)) {
      for (Path one : all.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(one);
      }
    } catch (IOException | RuntimeException held) {
      LOGGER.debug("Not removed: {}", folder, held);
    }
  }
}
