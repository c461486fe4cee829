package io.wsisam.support;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * `wsisam serve` as a process of its own, on loopback; it can be killed and started again at the same port.
 *
 * Its default model finds what is dark, at no cost (tests/support/dark_parts.py); {@link #MODEL} is served too.
 */
public final class RealServer implements AutoCloseable {
  /** The name of the real model. */
  public static final String MODEL = "wsisam-lite";

  private final List<Path> slides;
  private final Path store;
  private ServerStarter.Started process;
  private boolean running;

  private RealServer(List<Path> slides, Path store) {
    this.slides = slides;
    this.store = store;
  }

  /** A server of some folders; without one it takes pixels only. */
  public static RealServer start(Path... slides) {
    try {
      Path folder = Files.createTempDirectory("wsisam-store");
      RealServer server = new RealServer(List.of(slides), folder.resolve("annotations.db"));
      server.restart();
      return server;
    } catch (IOException failed) {
      throw new UncheckedIOException(failed);
    }
  }

  public String address() {
    return "127.0.0.1:" + process.port();
  }

  /** Starts the process and waits until it serves. */
  public void restart() {
    String port = process == null ? "0" : String.valueOf(process.port());
    List<String> arguments = new ArrayList<>(List.of("--log-level", "warning", "--port", port, "--store", store.toString()));
    slides.forEach(folder -> arguments.addAll(List.of("--slides", folder.toString())));
    process = ServerStarter.get().start(arguments);
    running = true;
  }

  /** As a power cut would: no goodbye. */
  public void kill() {
    end("kill");
  }

  /** As an administrator would. */
  public void stop() {
    end("stop");
  }

  @Override
  public void close() {
    if (running) {
      kill();
    }
  }

  private void end(String how) {
    ServerStarter.get().end(how, process.pid());
    running = false;
  }
}
