package io.wsisam.script;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.codehaus.groovy.ast.ClassNode;
import org.codehaus.groovy.ast.MethodNode;
import org.codehaus.groovy.control.CompilationUnit;
import org.codehaus.groovy.control.Phases;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The Groovy sources read as Groovy of the oldest QuPath. What they call is seen in a real QuPath, by tests/in_qupath. */
class GroovySourcesTest {
  private static final Path SOURCES = Path.of("src", "main", "groovy");

  static List<Path> sources() throws IOException {
    try (Stream<Path> files = Files.walk(SOURCES)) {
      return files.filter(file -> file.toString().endsWith(".groovy")).sorted().toList();
    }
  }

  @Test
  void thereAreSome() throws IOException {
    assertFalse(sources().isEmpty());
  }

  @ParameterizedTest
  @MethodSource("sources")
  void itReads(Path source) {
    assertDoesNotThrow(() -> types(source));
  }

  /** QuPath's Groovy refuses to compile it, and with it everything: all is one unit. It is seen late, when QuPath's classes are known. */
  @ParameterizedTest
  @MethodSource("sources")
  void noMethodIsPrivateAndPublicByOneName(Path source) {
    for (ClassNode type : types(source)) {
      Set<String> hidden = names(type, true);
      hidden.retainAll(names(type, false));
      assertEquals(Set.of(), hidden, type.getName());
    }
  }

  /** Groovy gives every object methods of these names, which a closure finds before those of the class around it. */
  @ParameterizedTest
  @MethodSource("sources")
  void noMethodHasTheNameOfOneThatGroovyGivesEveryObject(Path source) {
    for (ClassNode type : types(source)) {
      Set<String> own = type.getMethods().stream().map(MethodNode::getName).collect(Collectors.toSet());
      own.retainAll(Set.of("use", "with", "tap"));
      assertEquals(Set.of(), own, type.getName());
    }
  }

  private static List<ClassNode> types(Path source) {
    CompilationUnit unit = new CompilationUnit();
    unit.addSource(source.toFile());
    unit.compile(Phases.CONVERSION);
    return unit.getAST().getClasses();
  }

  private static Set<String> names(ClassNode type, boolean isPrivate) {
    return type.getMethods().stream()
        .filter(method -> method.isPrivate() == isPrivate)
        .map(MethodNode::getName)
        .collect(Collectors.toSet());
  }

  /** Groovy looks an imported class up when a script runs; this test does it before. */
  @ParameterizedTest
  @MethodSource("sources")
  void whatItImportsOfOursIsThere(Path source) throws IOException {
    for (String line : Files.readAllLines(source)) {
      if (line.startsWith("import io.wsisam.")) {
        String name = line.substring("import ".length()).strip();
        Path groovy = SOURCES.resolve(name.replace('.', '/') + ".groovy");
        assertTrue(Files.exists(groovy) || isPublicClass(name), line);
      }
    }
  }

  private static boolean isPublicClass(String name) {
    try {
      return Modifier.isPublic(Class.forName(name, false, GroovySourcesTest.class.getClassLoader()).getModifiers());
    } catch (ClassNotFoundException missing) {
      return false;
    }
  }
}
