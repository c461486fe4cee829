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
  private final List<String> options;
  private ServerStarter.Started process;
  private boolean running;

  private RealServer(List<Path> slides, Path store, List<String> options) {
    this.slides = slides;
    this.store = store;
    this.options = options;
  }

  /** A server of some folders; without one it takes pixels only. */
  public static RealServer start(Path... slides) {
    return startWith(List.of(), slides);
  }

  /** A server with further options of its command. */
  public static RealServer startWith(List<String> options, Path... slides) {
    try {
      Path folder = Files.createTempDirectory(Path.of("target").toAbsolutePath(), "store");
      RealServer server = new RealServer(List.of(slides), folder.resolve("annotations.db"), options);
      server.restart();
      return server;
    } catch (IOException failed) {
      throw new UncheckedIOException(failed);
    }
  }

  public String address() {
    return "127.0.0.1:" + port();
  }

  public int port() {
    return process.port();
  }

  /** Starts the process and waits until it serves. */
  public void restart() {
    String port = process == null ? "0" : String.valueOf(port());
    List<String> arguments = new ArrayList<>(List.of("--log-level", "warning", "--port", port, "--store", store.toString()));
    arguments.addAll(options);
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

  /** The Python that has wsisam. */
  public static String python() {
    return ServerStarter.python();
  }

  private void end(String how) {
    ServerStarter.get().end(how, process.pid());
    running = false;
  }
}
