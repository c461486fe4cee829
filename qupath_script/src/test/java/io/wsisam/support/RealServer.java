package io.wsisam.support;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** `wsisam serve` as a process of its own, on loopback; it can be killed and started again at the same port. */
public final class RealServer implements AutoCloseable {
  private static final Pattern READY = Pattern.compile("wsisam: serving (.*) on (.*):(\\d+)");
  private static final int SECONDS_TO_START = 180;

  private final List<Path> slides;
  private final Path store;
  private final List<String> options;
  private int port;
  private Process process;

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
      Path folder = Files.createTempDirectory("wsisam-store");
      RealServer server = new RealServer(List.of(slides), folder.resolve("annotations.db"), options);
      server.restart();
      return server;
    } catch (IOException failed) {
      throw new UncheckedIOException(failed);
    }
  }

  public String address() {
    return "127.0.0.1:" + port;
  }

  public int port() {
    return port;
  }

  /** Starts the process and waits until it serves. */
  public void restart() {
    List<String> command = new ArrayList<>(List.of(python(), "-m", "wsisam_server", "serve", "--log-level", "warning"));
    command.addAll(List.of("--port", String.valueOf(port), "--store", store.toString()));
    command.addAll(options);
    slides.forEach(folder -> command.addAll(List.of("--slides", folder.toString())));
    try {
      ProcessBuilder builder = new ProcessBuilder(command);
      builder.environment().putIfAbsent("OMP_NUM_THREADS", "1");
      builder.redirectError(ProcessBuilder.Redirect.INHERIT);
      process = builder.start();
      Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
      port = waitForPort();
    } catch (IOException failed) {
      throw new UncheckedIOException(failed);
    }
  }

  /** As a power cut would: no goodbye. */
  public void kill() throws InterruptedException {
    process.destroyForcibly().waitFor();
  }

  /** As an administrator would. */
  public void stop() throws InterruptedException {
    process.destroy();
    if (!process.waitFor(30, TimeUnit.SECONDS)) {
      kill();
    }
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }

  private int waitForPort() throws IOException {
    BufferedReader lines =
        new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
    CompletableFuture<Integer> found = new CompletableFuture<>();
    Thread reader =
        new Thread(
            () -> {
              try {
                lines.lines().forEach(line -> ready(line, found));
              } catch (UncheckedIOException killed) {
                // its output ends with it
              }
              found.completeExceptionally(new IllegalStateException("the server ended before it served"));
            },
            "server-output");
    reader.setDaemon(true);
    reader.start();
    try {
      return found.get(SECONDS_TO_START, TimeUnit.SECONDS);
    } catch (Exception failed) {
      process.destroyForcibly();
      throw new IllegalStateException(
          "The real server could not be started with " + python() + " -m wsisam_server serve: see its messages above. "
              + "Install it there first (make test does).",
          failed);
    }
  }

  private static void ready(String line, CompletableFuture<Integer> found) {
    Matcher matcher = READY.matcher(line);
    if (matcher.matches()) {
      found.complete(Integer.valueOf(matcher.group(3)));
    }
  }

  /** The Python that has wsisam. */
  public static String python() {
    String python = System.getProperty("wsisam.python", "").strip();
    if (python.isEmpty()) {
      throw new IllegalStateException(
          "These tests talk to the real server and need to know its Python: run 'make test', or "
              + "mvn verify -Dwsisam.python=/path/to/python with wsisam installed in it.");
    }
    if (!Files.isExecutable(Path.of(python))) {
      throw new IllegalStateException("-Dwsisam.python=" + python + " is no program that can be run.");
    }
    return python;
  }
}
