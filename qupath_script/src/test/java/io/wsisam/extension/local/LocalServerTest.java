package io.wsisam.extension.local;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import io.wsisam.support.Eventually;
import io.wsisam.support.RealServer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Who uses the local server, when it ends, and what is said when it does not start. A module of a few lines stands in for the
 * server: Python finds it first, in the folder that it runs in. The real one is in {@link RealLocalServerTest}.
 */
class LocalServerTest {
  private static final String SERVES =
      """
      import sys, time
      if sys.argv[1] == 'token':
          open(sys.argv[sys.argv.index('--tokens') + 1], 'w').close()
          print('wsisam_' + str(time.time_ns()))
          sys.exit()
      print('wsisam: loading the model')
      time.sleep(.5)
      print('wsisam: serving a-model on 127.0.0.1:4321')
      time.sleep(60)
      """;

  @TempDir Path userDirectory;
  private final List<StartStage> stages = new ArrayList<>();
  private LocalServer server;

  @BeforeEach
  void note() throws IOException {
    note(RealServer.python());
    server = new LocalServer(userDirectory, () -> false);
  }

  @AfterEach
  void stop() throws IOException {
    if (Files.isDirectory(local())) {
      server.stop();
    }
  }

  private void note(String python) throws IOException {
    JsonObject note = new JsonObject();
    note.addProperty("wsisam", "0.1.0");
    note.addProperty("python", python);
    Path file = userDirectory.resolve(Installation.NOTE);
    Files.createDirectories(file.getParent());
    Files.writeString(file, note.toString());
  }

  private Path local() {
    return userDirectory.resolve("wsisam").resolve("local");
  }

  private void program(String text) throws IOException {
    Files.createDirectories(local());
    Files.writeString(local().resolve("wsisam_server.py"), text);
  }

  private RunningServer start() throws LocalServerException, InterruptedException {
    return server.start(List.of(userDirectory), stages::add);
  }

  private ProcessHandle process() {
    return new LocalFolder(userDirectory).running().orElseThrow().server().running().orElseThrow();
  }

  private static ProcessIdentity anotherQuPath() {
    return ProcessIdentity.of(ProcessHandle.current().parent().orElseThrow());
  }

  private static void assertEnds(ProcessHandle process) throws InterruptedException {
    assertTrue(Eventually.holds(Duration.ofSeconds(20), () -> !process.isAlive()));
  }

  @Test
  void itStartsStageByStageEachTimeWithAnotherToken() throws Exception {
    program(SERVES);
    RunningServer running = start();
    assertEquals("127.0.0.1:4321", running.address());
    assertFalse(running.wasThere());
    assertEquals(List.of(userDirectory.toString()), running.folders());
    assertEquals(StartStage.MAKING_TOKEN, stages.get(0));
    assertEquals(StartStage.LOADING_MODEL, stages.get(stages.size() - 1));
    String token = Files.readString(running.tokenFile());
    assertTrue(token.startsWith("wsisam_"));
    assertTrue(server.stop());
    assertFalse(server.stop());
    assertNotEquals(token, Files.readString(start().tokenFile()));
  }

  @Test
  void twoQuPathsShareOneAndItEndsWithTheLast() throws Exception {
    program(SERVES);
    start();
    ProcessHandle process = process();
    LocalServer another = new LocalServer(userDirectory, () -> false, anotherQuPath());
    RunningServer shared = another.start(List.of(), stage -> {});
    assertTrue(shared.wasThere());
    assertEquals(List.of(userDirectory.toString()), shared.folders(), "those of the first");
    assertEquals(process, process());
    server.release(false);
    assertTrue(process.isAlive());
    another.release(false);
    assertEnds(process);
    assertTrue(server.runningFolders().isEmpty());
  }

  @Test
  void itGoesOnWhenTheUserSaysSo() throws Exception {
    program(SERVES);
    start();
    ProcessHandle process = process();
    server.release(true);
    Thread.sleep(300);
    assertTrue(process.isAlive());
    assertTrue(start().wasThere());
  }

  @Test
  void oneThatACrashLeftBehindIsFoundAndEndsWithWhoFoundIt() throws Exception {
    program(SERVES);
    start();
    ProcessHandle process = process();
    LocalFolder folder = new LocalFolder(userDirectory);
    ProcessIdentity crashed = new ProcessIdentity(ProcessHandle.current().pid(), 1_000_000_000_000L);
    LocalServerRecord record = folder.running().orElseThrow();
    new LocalServerRecord(record.server(), record.folders(), List.of(crashed)).write(folder.record());
    assertTrue(server.adopt());
    assertEquals(List.of(ProcessIdentity.own()), folder.running().orElseThrow().users());
    server.release(false);
    assertEnds(process);
    assertFalse(server.adopt());
  }

  @Test
  void aNumberThatAnotherProcessHasByNowIsNoServer() throws Exception {
    Files.createDirectories(local());
    ProcessIdentity gone = new ProcessIdentity(ProcessHandle.current().pid(), 1_000_000_000_000L);
    new LocalServerRecord(gone, List.of(), List.of()).write(new LocalFolder(userDirectory).record());
    assertTrue(server.runningFolders().isEmpty());
    assertFalse(server.adopt());
    assertFalse(server.stop());
  }

  @Test
  void aDamagedRecordIsNone() throws Exception {
    program(SERVES);
    Files.writeString(new LocalFolder(userDirectory).record(), "{\"server\": 3");
    assertTrue(server.runningFolders().isEmpty());
    assertFalse(start().wasThere());
  }

  @Test
  void calledOffItEndsWhatItStarted() throws Exception {
    program(SERVES.replace("sleep(.5)", "sleep(60)"));
    CountDownLatch loading = new CountDownLatch(1);
    CompletableFuture<Throwable> ended = new CompletableFuture<>();
    Thread starting =
        new Thread(
            () -> {
              try {
                server.start(List.of(), stage -> {
                  if (stage == StartStage.LOADING_MODEL) {
                    loading.countDown();
                  }
                });
                ended.complete(null);
              } catch (Throwable stopped) {
                ended.complete(stopped);
              }
            });
    starting.start();
    assertTrue(loading.await(30, TimeUnit.SECONDS));
    ProcessHandle process = process();
    starting.interrupt();
    assertInstanceOf(InterruptedException.class, ended.get(30, TimeUnit.SECONDS));
    assertEnds(process);
    assertTrue(server.runningFolders().isEmpty());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "import os; print('wsisam: loading the model', flush=True); os._exit(137)       | ended from outside while it started",
        "import os; os._exit(1)                                                         | ended from outside while it started",
        "raise OSError(28, 'No space left on device')                                   | The disk is full",
        "raise ModuleNotFoundError(\"No module named 'wsisam_server'\")                 | is not there any more",
        "raise MemoryError()                                                            | too little memory",
        "import sys; sys.exit('Error: wsisam serve needs the model: pip install torch') | The server did not start: wsisam serve needs",
        "raise ValueError('something else')                                             | ValueError: something else",
      })
  void whyItDidNotStartIsSaid(String program, String said) throws Exception {
    program("import sys\nif sys.argv[1] == 'token':\n    open(sys.argv[-1], 'w').close()\n    sys.exit(print('secret'))\n" + program);
    LocalServerException told = assertThrows(LocalServerException.class, this::start);
    assertTrue(told.getMessage().contains(said), told.getMessage());
    assertTrue(server.runningFolders().isEmpty());
  }

  @Test
  void aTokenThatCannotBeMadeIsSaid() throws Exception {
    program("import sys; sys.exit('Error: the tokens cannot be read')");
    LocalServerException told = assertThrows(LocalServerException.class, this::start);
    assertEquals("The server did not start: the tokens cannot be read", told.getMessage());
  }

  @Test
  void anInstallationThatIsGoneIsSaid() throws Exception {
    note(userDirectory.resolve("gone").resolve("python").toString());
    assertTrue(assertThrows(LocalServerException.class, this::start).getMessage().contains("not there any more"));
  }

  @Test
  void withoutANoteThereIsNoInstallation() throws Exception {
    Files.delete(userDirectory.resolve(Installation.NOTE));
    assertTrue(server.installation().isEmpty());
    assertThrows(LocalServerException.class, this::start);
    for (String damaged : List.of("", "{}", "[]", "{\"python\": 3}", "{\"python\": \"\\u0000\", \"wsisam\": \"1\"}")) {
      Files.writeString(userDirectory.resolve(Installation.NOTE), damaged);
      assertTrue(server.installation().isEmpty(), damaged);
    }
  }

  @Test
  void aFolderThatCannotBeWrittenIsSaid() throws Exception {
    Files.writeString(local(), "a file in its place");
    LocalServerException told = assertThrows(LocalServerException.class, this::start);
    assertTrue(told.getMessage().contains("cannot be written"), told.getMessage());
  }
}
