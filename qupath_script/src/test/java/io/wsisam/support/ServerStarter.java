package io.wsisam.support;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The one process that starts all servers of this virtual machine (tests/support/server_starter.py), and ends with it. */
final class ServerStarter {
  private static final Pattern SERVING = Pattern.compile("(?:wsisam: serving .* on .*:|over )(\\d+)");
  private static final int SECONDS = 180;
  private static final String GONE = "";

  private static ServerStarter only;

  private final BlockingQueue<String> said = new LinkedBlockingQueue<>();
  private final PrintStream commands;

  /** What a started server is known by. */
  record Started(String pid, int port) {}

  static synchronized ServerStarter get() {
    if (only == null) {
      only = new ServerStarter();
      only.hear(Pattern.compile("ready"));
    }
    return only;
  }

  private ServerStarter() {
    String python = python();
    ProcessBuilder builder = new ProcessBuilder(python, "-m", "support.server_starter");
    builder.directory(Path.of("..", "tests").toFile());
    builder.environment().putIfAbsent("OMP_NUM_THREADS", "1");
    builder.redirectError(ProcessBuilder.Redirect.INHERIT);
    try {
      Process process = builder.start();
      commands = new PrintStream(process.getOutputStream(), true, StandardCharsets.UTF_8);
      Thread reader = new Thread(() -> read(process), "server-output");
      reader.setDaemon(true);
      reader.start();
    } catch (IOException failed) {
      throw new UncheckedIOException(failed);
    }
  }

  /** Starts a server with arguments of `wsisam serve`, and waits until it serves. */
  synchronized Started start(Iterable<String> arguments) {
    commands.println("start\t" + String.join("\t", arguments));
    String pid = hear(Pattern.compile("started (\\d+)"));
    String port = hear(SERVING);
    if (port.equals(pid)) {
      throw cannotStart();
    }
    return new Started(pid, Integer.parseInt(port));
  }

  /** Ends a server, by "kill" or "stop", and waits until it is gone. */
  synchronized void end(String how, String pid) {
    commands.println(how + "\t" + pid);
    hear(Pattern.compile("ended (" + pid + ")"));
  }

  private String hear(Pattern awaited) {
    try {
      for (String line = next(); ; line = next()) {
        Matcher matcher = awaited.matcher(line);
        if (matcher.matches()) {
          return matcher.groupCount() == 0 ? line : matcher.group(1);
        }
      }
    } catch (InterruptedException stopped) {
      throw new IllegalStateException("interrupted while a server was starting or ending", stopped);
    }
  }

  private String next() throws InterruptedException {
    String line = said.poll(SECONDS, TimeUnit.SECONDS);
    if (line == null || line.equals(GONE)) {
      said.add(GONE); // for those who ask later
      throw cannotStart();
    }
    return line;
  }

  private static IllegalStateException cannotStart() {
    return new IllegalStateException(
        "The real server could not be started with " + python() + " -m wsisam_server serve: see its messages above. "
            + "Install it there first (make test does).");
  }

  private void read(Process process) {
    try (BufferedReader lines =
        new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      lines.lines().filter(line -> !line.isEmpty()).forEach(said::add);
    } catch (IOException | UncheckedIOException ended) {
      // its output ends with it
    }
    said.add(GONE);
  }

  /** The Python that has wsisam. */
  static String python() {
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
