package io.wsisam.extension;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Scripts are compiled once, and again when anything that they depend on is another. QuPath's own imports are a stand-in's here. */
class CompiledScriptsTest {
  private static final Map<String, String> SCRIPT =
      Map.of("Script", "class Helper {}; [new Helper().toString(), 42]");

  @TempDir Path user;

  private ClassLoader load(Map<String, String> scripts, String identity, Path directory) throws IOException {
    return CompiledScripts.load(scripts, List.of(), directory, identity, getClass().getClassLoader());
  }

  private List<Path> kept() throws IOException {
    try (Stream<Path> folders = Files.list(user.resolve(CompiledScripts.FOLDER))) {
      return folders.sorted().toList();
    }
  }

  @Test
  void theClassesAreKeptAndTakenAgain() throws Exception {
    load(SCRIPT, "0.7.0", user);
    List<Path> first = kept();
    assertEquals(1, first.size());
    Path marked = Files.createFile(first.get(0).resolve("as it was"));
    ClassLoader again = load(SCRIPT, "0.7.0", user);
    assertEquals(first, kept());
    assertTrue(Files.exists(marked), "not compiled a second time");
    assertEquals("Helper", again.loadClass("Helper").getName());
  }

  @Test
  void anotherQuPathOrAnotherScriptIsCompiledAnew() throws Exception {
    load(SCRIPT, "0.7.0", user);
    load(SCRIPT, "0.6.0", user);
    load(Map.of("Script", "1"), "0.7.0", user);
    assertEquals(3, kept().size());
  }

  @Test
  void whatNobodyUsedForLongGoes() throws Exception {
    load(SCRIPT, "0.7.0", user);
    Path old = kept().get(0);
    Files.setLastModifiedTime(old, FileTime.from(Instant.now().minus(Duration.ofDays(200))));
    load(SCRIPT, "0.8.0", user);
    assertEquals(1, kept().size());
    assertNotEquals(old, kept().get(0));
  }

  @Test
  void aFolderThatCannotBeWrittenIsNoObstacle() throws Exception {
    Path file = Files.createFile(user.resolve("a file"));
    assertEquals("Script", load(SCRIPT, "0.7.0", file).loadClass("Script").getName());
    assertEquals("Script", load(SCRIPT, "0.7.0", null).loadClass("Script").getName());
  }
}
