package io.wsisam.extension;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which copy of a script runs. */
class ScriptSourcesTest {
  @TempDir Path user;
  private ScriptSources sources;
  private Path copy;

  @BeforeEach
  void folder() throws IOException {
    sources = new ScriptSources(() -> user, getClass().getClassLoader());
    copy = user.resolve("scripts").resolve("WSI-SAM").resolve("WsiSamClicks.groovy");
    Files.createDirectories(copy.getParent());
  }

  @Test
  void theScriptsOfTheJarAreOffered() {
    assertTrue(sources.names().containsAll(java.util.List.of("WsiSamClicks", "WsiSamAnnotate", "WsiSamSync")));
  }

  @Test
  void anUnchangedCopyIsNobodysOwn() throws IOException {
    Files.writeString(copy, sources.carried("WsiSamClicks").replace("\n", "\r\n"));
    assertEquals(Optional.empty(), sources.own("WsiSamClicks"));
  }

  @Test
  void aChangedCopyIsTheUsersOwn() throws IOException {
    Files.writeString(copy, sources.carried("WsiSamClicks") + "println 'mine'\n");
    assertEquals(Optional.of(copy), sources.own("WsiSamClicks"));
  }

  @Test
  void withoutUserDirectoryThereIsNoCopy() {
    assertEquals(Optional.empty(), new ScriptSources(() -> null, getClass().getClassLoader()).own("WsiSamClicks"));
  }
}
