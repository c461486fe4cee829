package io.wsisam.layout;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Which of our packages uses which: imports go one way, as docs/architecture.md says. */
class PackagesTest {
  private static final Path SOURCES = Path.of("src", "main", "java");
  private static final Pattern OURS = Pattern.compile("(?<![\\w.])(io\\.wsisam\\.(?:client|script|extension)[a-z.]*)\\.[A-Z]");

  private static final Map<String, Set<String>> MAY_USE =
      Map.of(
          "io.wsisam.client.connection", Set.of(),
          "io.wsisam.client.slides", Set.of("connection"),
          "io.wsisam.client.segmentation", Set.of("connection", "slides"),
          "io.wsisam.client.annotations", Set.of("connection", "slides", "segmentation"),
          "io.wsisam.client", Set.of("connection", "slides", "segmentation", "annotations"),
          "io.wsisam.script", Set.of("", "connection", "slides", "segmentation", "annotations", "io.wsisam.script.finishing"),
          "io.wsisam.script.finishing", Set.of(),
          "io.wsisam.script.keeping", Set.of("connection", "annotations"),
          "io.wsisam.extension.local", Set.of("connection", "io.wsisam.script"),
          "io.wsisam.extension", Set.of("connection", "io.wsisam.script", "io.wsisam.extension.local"));

  @Test
  void importsGoOneWay() throws IOException {
    List<String> wrong = new ArrayList<>();
    Set<String> packages = new TreeSet<>();
    for (Path file : sources()) {
      String text = Files.readString(file).replaceAll("(?s)/\\*.*?\\*/", "");
      Path folder = SOURCES.relativize(file.getParent());
      String own = folder.toString().replace(folder.getFileSystem().getSeparator(), ".");
      packages.add(own);
      Matcher used = OURS.matcher(text);
      while (used.find()) {
        String other = used.group(1);
        String name = other.replaceFirst("^io\\.wsisam\\.client\\.?", "");
        if (!other.equals(own) && !MAY_USE.getOrDefault(own, Set.of()).contains(name)) {
          wrong.add(own + " uses " + other + " in " + file.getFileName());
        }
      }
    }
    assertEquals(List.of(), wrong);
    assertEquals(MAY_USE.keySet(), packages);
  }

  private static List<Path> sources() throws IOException {
    try (Stream<Path> files = Files.walk(SOURCES)) {
      return files.filter(file -> file.toString().endsWith(".java")).sorted().toList();
    }
  }
}
