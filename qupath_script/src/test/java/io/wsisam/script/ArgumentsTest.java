package io.wsisam.script;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.client.connection.WsiSamException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;
import java.util.prefs.BackingStoreException;
import java.util.prefs.Preferences;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A script's arguments. */
class ArgumentsTest {
  private final Preferences node = Preferences.userRoot().node("io/wsisam/test/" + UUID.randomUUID());
  private final Settings settings = Settings.at(node);
  private final Map<String, Object> parameters = new LinkedHashMap<>();
  private final Map<String, Object> access = new LinkedHashMap<>();

  ArgumentsTest() {
    parameters.put("which", "auto");
    parameters.put("margin", 0);
    parameters.put("dryRun", false);
    access.put("server", "");
    access.put("tokenFile", "");
    access.put("certificates", "");
  }

  @AfterEach
  void remove() throws BackingStoreException {
    node.removeNode();
  }

  private void read(String... arguments) {
    Arguments.read("Script", arguments, parameters, access);
  }

  @Test
  void eachIsReadAsWhatStandsThere() {
    read("which=class:a=b", "margin=2.5", "dryRun=true", "server=gpu.lab:9000");
    assertEquals(Map.of("which", "class:a=b", "margin", 2.5, "dryRun", true), parameters);
    assertEquals("gpu.lab:9000", access.get("server"));
    read("which=");
    assertEquals("", parameters.get("which"));
    Arguments.read("Script", null, parameters, access);
  }

  @ParameterizedTest
  @CsvSource({"whcih=all", "all", "=all", "margin=wide", "dryRun=yes"})
  void whatIsWrongIsNamedAndChangesNothing(String argument) {
    IllegalArgumentException error = assertThrows(IllegalArgumentException.class, () -> read("which=all", argument));
    assertTrue(error.getMessage().startsWith("Script "), error.getMessage());
    assertTrue(error.getMessage().contains("'" + argument + "'"), error.getMessage());
    assertEquals("auto", parameters.get("which"));
  }

  @Test
  void accessIsKeptAsThePaletteKeepsIt() {
    read("server=https://gpu.lab:9000", "tokenFile=anna.token", "certificates=ca.pem");
    Arguments.keep(access, settings);
    assertEquals("https://gpu.lab:9000", settings.server());
    assertEquals(Path.of("anna.token").toAbsolutePath().toString(), settings.tokenFile());
    assertEquals(Path.of("ca.pem").toAbsolutePath().toString(), settings.certificates());

    Arguments.keep(Map.of("server", "", "tokenFile", Arguments.NONE), settings);
    assertEquals("https://gpu.lab:9000", settings.server());
    assertEquals("", settings.tokenFile());
    assertEquals(Path.of("ca.pem").toAbsolutePath().toString(), settings.certificates());
  }

  @Test
  void anAddressThatIsNoneKeepsNothing() {
    read("server=://", "tokenFile=anna.token");
    assertThrows(WsiSamException.class, () -> Arguments.keep(access, settings));
    assertEquals("", settings.tokenFile());
  }
}
