package io.wsisam.client.slides;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.IntUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The server's fingerprints, made here. */
class SlideFilesTest {
  @TempDir Path folder;

  private String of(String name, int size, IntUnaryOperator content) throws IOException {
    byte[] bytes = new byte[size];
    for (int i = 0; i < size; i++) {
      bytes[i] = (byte) content.applyAsInt(i);
    }
    Path path = Files.write(folder.resolve(name), bytes);
    return SlideFiles.fingerprint(path.toUri().toString());
  }

  /** Both were computed by the server's own code. */
  @Test
  void theSameAsTheServers() throws IOException {
    assertEquals("e43b63365ce0ab6fbe7570b250d6602db6352d155e1a18c4d5938055a75fb6b1", of("small slide.png", 2560, i -> i % 256));
    assertEquals(
        "aebbc148131e7c25174f61401af0c44d39c7e79165a28fc7ac15bea937d7a7f6",
        of("large.svs", 17 * 1024 * 1024 + 5, i -> (i * 7 + i / 251) % 256));
  }

  /** Of several files that make up a slide each has the same identity, which only OpenSlide tells. */
  @ParameterizedTest
  @ValueSource(strings = {"a.mrxs", "a.vms", "a.VMU", "a.dcm"})
  void notOfASet(String name) throws IOException {
    assertNull(of(name, 300, i -> 1));
  }

  @Test
  void notOfADicomFileByAnyName() throws IOException {
    byte[] bytes = new byte[300];
    System.arraycopy("DICM".getBytes(StandardCharsets.US_ASCII), 0, bytes, 128, 4);
    assertNull(SlideFiles.fingerprint(Files.write(folder.resolve("no ending"), bytes).toUri().toString()));
  }

  @ParameterizedTest
  @ValueSource(strings = {"file:///no/such/file.svs", "http://host/slide.svs", "no uri at all", "file:///a.vsi#2"})
  void notOfWhatIsNoFileHere(String uri) {
    assertNull(SlideFiles.fingerprint(uri));
  }
}
