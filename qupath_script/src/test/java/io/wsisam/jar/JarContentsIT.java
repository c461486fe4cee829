package io.wsisam.jar;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What is in the built jar, and what must not be. */
class JarContentsIT {
  private static final int JAVA_17 = 61;

  /** What QuPath has, and only the extension may use. */
  private static final String BESIDE_THE_EXTENSION = "(qupath|javafx|groovy|org/codehaus/groovy|org/slf4j)/.*";

  /** What finishes outlines works on QuPath's geometries. */
  private static final String BESIDE_FINISHING = "org/locationtech/jts/.*";

  private static ZipFile jar;

  @BeforeAll
  static void open() throws IOException {
    jar = new ZipFile(new File(System.getProperty("wsisam.jar")));
  }

  @AfterAll
  static void close() throws IOException {
    jar.close();
  }

  private static List<? extends ZipEntry> files() {
    return jar.stream().filter(entry -> !entry.isDirectory()).toList();
  }

  @Test
  void everyClassIsInOurPackageAndRunsOnJava17() throws IOException {
    int classes = 0;
    for (ZipEntry entry : files()) {
      if (entry.getName().endsWith(".class")) {
        assertTrue(entry.getName().startsWith("io/wsisam/"), entry.getName());
        assertTrue(ClassFile.read(jar.getInputStream(entry)).major() <= JAVA_17, entry.getName());
        classes++;
      }
    }
    assertTrue(classes > 1000, "classes: " + classes);
  }

  @Test
  void whatIsNoClassIsOursOrAboutTheJar() {
    List<String> others =
        files().stream()
            .map(ZipEntry::getName)
            .filter(name -> !name.endsWith(".class"))
            .filter(name -> !name.startsWith("io/wsisam/"))
            .toList();
    for (String name : others) {
      assertTrue(
          name.matches(
              "META-INF/(MANIFEST.MF|LICENSE|THIRD-PARTY.txt|services/(io\\.wsisam\\.shaded\\..*|qupath\\.lib\\..*))"),
          name);
    }
    assertTrue(others.contains("META-INF/LICENSE"));
    assertTrue(others.contains("META-INF/THIRD-PARTY.txt"));
  }

  @Test
  void servicesAreMergedAndRenamed() throws IOException {
    List<String> providers = new ArrayList<>();
    for (ZipEntry entry : files()) {
      if (entry.getName().startsWith("META-INF/services/io.wsisam.")) {
        String text = new String(jar.getInputStream(entry).readAllBytes(), StandardCharsets.UTF_8);
        text.lines().filter(line -> !line.isBlank() && !line.startsWith("#")).forEach(providers::add);
      }
    }
    assertTrue(providers.size() >= 3, providers::toString);
    for (String provider : providers) {
      assertTrue(provider.startsWith("io.wsisam.shaded."), provider);
      assertTrue(jar.getEntry(provider.replace('.', '/') + ".class") != null, provider);
    }
  }

  @Test
  void itIsAnExtensionOfQuPath() throws IOException {
    ZipEntry service = jar.getEntry("META-INF/services/qupath.lib.gui.extensions.QuPathExtension");
    String provider = new String(jar.getInputStream(service).readAllBytes(), StandardCharsets.UTF_8).strip();
    assertTrue(jar.getEntry(provider.replace('.', '/') + ".class") != null, provider);
    assertTrue(files().stream().noneMatch(entry -> entry.getName().startsWith("qupath/")), "signatures are not shipped");
    for (String page : List.of("qupath.md", "troubleshooting.md")) {
      assertTrue(jar.getEntry("io/wsisam/extension/" + page) != null, "the pages of Help");
    }
  }

  @Test
  void itCarriesEveryScriptAsItIs() throws IOException {
    try (Stream<Path> scripts = Files.list(Path.of("src", "main", "groovy"))) {
      for (Path script : scripts.filter(Files::isRegularFile).toList()) {
        ZipEntry carried = jar.getEntry("io/wsisam/scripts/" + script.getFileName());
        assertArrayEquals(Files.readAllBytes(script), jar.getInputStream(carried).readAllBytes(), script.toString());
      }
    }
  }

  @Test
  void noClassRefersToALibraryThatIsNotInside() throws IOException {
    Set<String> outside = new TreeSet<>();
    for (ZipEntry entry : files()) {
      if (entry.getName().endsWith(".class")) {
        for (String name : ClassFile.read(jar.getInputStream(entry)).references()) {
          String type = name.replaceAll("^\\[+L?|;$", "");
          boolean ofQuPath =
              entry.getName().startsWith("io/wsisam/extension/") && type.matches(BESIDE_THE_EXTENSION)
                  || entry.getName().startsWith("io/wsisam/script/finishing/") && type.matches(BESIDE_FINISHING);
          if (type.contains("/") && !ofQuPath && !type.matches("(java|javax|io/wsisam|sun/misc|jdk)/.*")) {
            outside.add(type + " in " + entry.getName());
          }
        }
      }
    }
    assertEquals(Set.of(), outside);
  }

  @Test
  void theSameSourcesGiveTheSameBytes() {
    Set<LocalDateTime> stamps =
        files().stream()
            .filter(entry -> entry.getName().matches("io/wsisam/(client|script|extension|v1)/.*"))
            .map(ZipEntry::getTimeLocal)
            .collect(Collectors.toSet());
    assertEquals(Set.of(LocalDateTime.of(2026, 1, 1, 0, 0)), stamps);
  }
}
