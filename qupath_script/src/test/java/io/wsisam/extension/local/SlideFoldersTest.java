package io.wsisam.extension.local;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Which folders a server is told to open slides in. */
class SlideFoldersTest {
  private static final Path DATA = Path.of("data").toAbsolutePath();

  private static URI image(String place) {
    return DATA.resolve(place).toUri();
  }

  @Test
  void eachFolderOnceAndNoneInsideAnother() {
    List<URI> images = List.of(image("b/1.svs"), image("b/2.svs"), image("a/3.svs"), image("b/c/4.svs"));
    assertEquals(List.of(DATA.resolve("a"), DATA.resolve("b")), SlideFolders.of(images));
  }

  @Test
  void aFolderForEachCaseIsOneFolder() {
    Stream<URI> cases = IntStream.range(0, SlideFolders.MANY).mapToObj(i -> image("cases/case-" + i + "/slide.svs"));
    assertEquals(List.of(DATA.resolve("cases")), SlideFolders.of(cases.toList()));
    Stream<URI> few = IntStream.range(1, SlideFolders.MANY).mapToObj(i -> image("cases/case-" + i + "/slide.svs"));
    assertEquals(SlideFolders.MANY - 1, SlideFolders.of(few.toList()).size());
  }

  @Test
  void neverAWholeDriveNorWhatHoldsTheHome() {
    Path home = Path.of(System.getProperty("user.home")).toAbsolutePath().normalize();
    for (Path wide : List.of(DATA.getRoot(), home.getParent())) {
      List<URI> images = IntStream.range(0, 20).mapToObj(i -> wide.resolve("folder-" + i).resolve("slide.svs").toUri()).toList();
      assertEquals(20, SlideFolders.of(images).size(), wide.toString());
    }
  }

  @Test
  void whatIsNoFileIsLeftOut() {
    List<URI> images =
        List.of(URI.create("https://slides.lab/1.svs"), URI.create("omero:1"), URI.create("relative"), image("a/b c.svs"));
    assertEquals(List.of(DATA.resolve("a")), SlideFolders.of(images));
    assertEquals(List.of(), SlideFolders.of(List.of()));
  }
}
