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
      server = RealServer.start(ROOT);
    }
    return server;
  }

  /** The slide that it can open. */
  public static Path discs() {
    get();
    return ROOT.resolve("discs.png");
  }

  private static Path folder() {
    try {
      return Files.createTempDirectory("wsisam-slides").toRealPath();
    } catch (IOException failed) {
      throw new UncheckedIOException(failed);
    }
  }
}
