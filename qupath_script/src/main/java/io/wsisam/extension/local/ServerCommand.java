package io.wsisam.extension.local;

import com.google.gson.Gson;
import io.wsisam.script.PrivateFile;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Runs wsisam of an installation, with files of the local server's folder. */
final class ServerCommand {
  /** What a user may have set for another server; the rest, such as which model, counts here too. */
  private static final Set<String> NOT_FOR_THIS_ONE =
      Set.of(
          "WSISAM_SLIDES", "WSISAM_MAP", "WSISAM_INSECURE", "WSISAM_TLS_CERT", "WSISAM_TLS_KEY", "WSISAM_TLS_CLIENT_CA",
          "WSISAM_METRICS_PORT", "WSISAM_LOG_FORMAT", "WSISAM_LOG_LEVEL");

  private final Installation installation;
  private final LocalFolder folder;

  ServerCommand(Installation installation, LocalFolder folder) {
    this.installation = installation;
    this.folder = folder;
  }

  /**
   * Makes the only token, and keeps it in a file. A new one for each server: somebody else may listen at the port of one that
   * has ended, and be shown its token.
   *
   * @throws LocalServerException wsisam cannot; the text says why
   */
  void makeToken() throws IOException, LocalServerException, InterruptedException {
    Files.deleteIfExists(folder.tokens());
    String user = System.getProperty("user.name", "").replaceAll("[^A-Za-z0-9._@-]", "_");
    // An administrator, because it is the user's own server.
    ProcessBuilder builder =
        builder("token", "create", user.matches("[A-Za-z0-9_].{0,63}") ? user : "me", "--role", "admin", "--tokens",
            folder.tokens().toString());
    builder.redirectError(folder.log().toFile());
    Process process = builder.start();
    String token;
    int exit;
    try (InputStream said = process.getInputStream()) {
      exit = process.waitFor(); // what it says fits into a pipe
      token = new String(said.readAllBytes(), StandardCharsets.UTF_8).strip();
    } catch (InterruptedException calledOff) {
      process.destroy();
      throw calledOff;
    }
    if (exit != 0 || token.isEmpty()) {
      throw new LocalServerException(ServerLog.read(folder.log()).whyEnded(installation, exit));
    }
    PrivateFile.write(folder.token(), token + "\n");
  }

  /** Starts a server; returns at once. What it says goes into its log, and so it outlives a QuPath that crashes. */
  Process serve(List<String> slides) throws IOException {
    // A string of JSON is one of TOML. A file, since Windows limits how long a command line is.
    PrivateFile.write(folder.configuration(), "slides = " + new Gson().toJson(slides) + "\nlog_level = \"warning\"\n");
    ProcessBuilder builder =
        builder("serve", "--config", folder.configuration().toString(), "--host", "127.0.0.1", "--port", "0",
            "--tokens", folder.tokens().toString(), "--require-tokens");
    builder.redirectErrorStream(true).redirectOutput(folder.log().toFile());
    Process process = builder.start();
    process.getOutputStream().close(); // it is asked nothing
    return process;
  }

  private ProcessBuilder builder(String... words) {
    List<String> command = new ArrayList<>(List.of(installation.python().toString(), "-m", "wsisam_server"));
    command.addAll(List.of(words));
    ProcessBuilder builder = new ProcessBuilder(command).directory(folder.path().toFile());
    Map<String, String> environment = builder.environment();
    environment.keySet().removeAll(NOT_FOR_THIS_ONE);
    environment.put("PYTHONUNBUFFERED", "1");
    environment.put("PYTHONUTF8", "1");
    return builder;
  }
}
