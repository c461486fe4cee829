package io.wsisam.jar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What is in the built jar, and what must not be. */
class JarContentsIT {
  private static final int JAVA_17 = 61;
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
          name.matches("META-INF/(MANIFEST.MF|LICENSE|THIRD-PARTY.txt|services/io\\.wsisam\\.shaded\\..*)"), name);
    }
    assertTrue(others.contains("META-INF/LICENSE"));
    assertTrue(others.contains("META-INF/THIRD-PARTY.txt"));
  }

  @Test
  void servicesAreMergedAndRenamed() throws IOException {
    List<String> providers = new ArrayList<>();
    for (ZipEntry entry : files()) {
      if (entry.getName().startsWith("META-INF/services/")) {
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
  void noClassRefersToALibraryThatIsNotInside() throws IOException {
    Set<String> outside = new TreeSet<>();
    for (ZipEntry entry : files()) {
      if (entry.getName().endsWith(".class")) {
        for (String name : ClassFile.read(jar.getInputStream(entry)).references()) {
          String type = name.replaceAll("^\\[+L?|;$", "");
          if (type.contains("/") && !type.matches("(java|javax|io/wsisam|sun/misc|jdk)/.*")) {
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
            .filter(entry -> entry.getName().matches("io/wsisam/(client|script|v1)/.*"))
            .map(ZipEntry::getTimeLocal)
            .collect(Collectors.toSet());
    assertEquals(Set.of(LocalDateTime.of(2026, 1, 1, 0, 0)), stamps);
  }
}
