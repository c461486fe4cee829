package io.wsisam.script;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.UUID;
import java.util.prefs.BackingStoreException;
import java.util.prefs.Preferences;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The file that an administrator sends sets everything up; one that is damaged, over or foreign changes nothing. */
class InvitationTest {
  private static final String TEXT =
      """
      {"wsisam_invitation": 1, "server": "https://gpu.lab:8765", "user": "än/na", "token": "abc",
       "expires": EXPIRES, "certificates": "PEM"}
      """;

  @TempDir Path folder;
  private final Preferences node = Preferences.userRoot().node("io/wsisam/test/" + UUID.randomUUID());
  private final Settings settings = Settings.at(node);

  @AfterEach
  void remove() throws BackingStoreException {
    node.removeNode();
  }

  private Path file(String text) throws IOException {
    return Files.writeString(folder.resolve("anna.wsisam"), text);
  }

  @Test
  void itSetsEverythingUp() throws IOException {
    Path file = file(TEXT.replace("EXPIRES", "\"2999-01-01T00:00:00+00:00\""));
    assertTrue(Invitation.isNamed(file));
    assertFalse(Invitation.isNamed(folder.resolve("slide.svs")));
    Invitation.read(file).accept(folder.resolve("kept"), settings);
    assertEquals("https://gpu.lab:8765", settings.server());
    Path token = Path.of(settings.tokenFile());
    assertEquals(folder.resolve("kept"), token.getParent());
    assertEquals("abc", Files.readString(token).strip());
    assertEquals("PEM", Files.readString(Path.of(settings.certificates())));
    if (token.getFileSystem().supportedFileAttributeViews().contains("posix")) {
      assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(token)));
    }
  }

  @Test
  void oneThatNeverEndsIsTaken() throws IOException {
    assertEquals("än/na", Invitation.read(file(TEXT.replace("EXPIRES", "null"))).user());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "EXPIRES | \"2020-01-01T00:00:00+00:00\" | over since 2020-01-01",
        "n\": 1 | n\": 2 | newer kind",
        "\"token\" | \"tok\" | no invitation",
        "{ | [ | no invitation",
        "EXPIRES | 5 | no invitation",
        "https://gpu.lab:8765 | gpu lab | gpu lab",
      })
  void whatIsNoInvitationIsRefusedWithAReason(String from, String to, String said) throws IOException {
    Path file = file(TEXT.replace(from, to).replace("EXPIRES", "null"));
    IllegalArgumentException refused = assertThrows(IllegalArgumentException.class, () -> Invitation.read(file));
    assertTrue(refused.getMessage().contains(said), refused.getMessage());
    assertTrue(settings.tokenFile().isEmpty());
  }
}
