package io.wsisam.support;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** One real server for all tests that leave it as it is; it ends with the virtual machine. */
public final class SharedServer {
  private static final Path ROOT = folder();

  private static RealServer server;

  private SharedServer() {}

  public static synchronized RealServer get() {
    if (server == null) {
      Discs.write(ROOT);
      Path real = realSlides();
      server = Files.isDirectory(real) ? RealServer.start(ROOT, real) : RealServer.start(ROOT);
    }
    return server;
  }

  /** The slide that it can open. */
  public static Path discs() {
    get();
    return ROOT.resolve("discs.png");
  }

  /** Where real slides are, if there are any: ../shared/data/wsi, or $WSISAM_SHARED/data/wsi. */
  public static Path realSlides() {
    String shared = System.getenv("WSISAM_SHARED");
    Path root = shared == null ? Path.of("..", "..", "shared") : Path.of(shared);
    Path folder = root.resolve("data").resolve("wsi").toAbsolutePath().normalize();
    try {
      return Files.exists(folder) ? folder.toRealPath() : folder;
    } catch (IOException failed) {
      throw new UncheckedIOException(failed);
    }
  }

  private static Path folder() {
    try {
      return Files.createTempDirectory(Path.of("target"), "slides").toRealPath();
    } catch (IOException failed) {
      throw new UncheckedIOException(failed);
    }
  }
}
