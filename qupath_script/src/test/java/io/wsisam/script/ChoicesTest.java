package io.wsisam.script;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.client.connection.ClientReason;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.segmentation.PartsPolicy;
import io.wsisam.script.finishing.Finishing;
import io.wsisam.script.finishing.Overlap;
import java.io.IOException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.prefs.BackingStoreException;
import java.util.prefs.Preferences;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Classes, targets, settings. */
class ChoicesTest {
  private final Preferences node = Preferences.userRoot().node("io/wsisam/test/" + UUID.randomUUID());
  private final Settings settings = Settings.at(node);

  @AfterEach
  void remove() throws BackingStoreException {
    node.removeNode();
  }

  @Test
  void classesGoRoundAndNoClassIsOneOfThem() {
    ClassChoice choice = ClassChoice.of(Arrays.asList("Tumor", null, " ", new StringBuilder("Stroma"), "Tumor"), "Stroma");
    assertEquals(List.of("", "Tumor", "Stroma"), choice.names());
    assertEquals("Stroma", choice.current());
    assertEquals("", choice.next());
    assertEquals("Tumor", choice.next());
    assertEquals("", choice.previous());
    assertEquals("Stroma", choice.previous());
    assertFalse(choice.choose("Unknown"));
    assertEquals("Stroma", choice.current());
    assertEquals("", ClassChoice.of(List.of(), "Gone").current());
  }

  @Test
  void classesFollowAndWhatWasChosenStays() {
    ClassChoice choice = ClassChoice.of(List.of("Tumor", "Stroma"), "Stroma");
    choice.names(List.of("Gland", "Stroma", "Tumor"));
    assertEquals(List.of("", "Gland", "Stroma", "Tumor"), choice.names());
    assertEquals("Stroma", choice.current());
    assertTrue(choice.number(1));
    assertEquals("Gland", choice.current());
    assertFalse(choice.number(9));
    assertEquals("Gland", choice.current());
    choice.names(List.of("Tumor"));
    assertEquals("", choice.current());
    assertTrue(choice.number(0));
  }

  @Test
  void thePalettesPlaceIsKept() {
    assertNull(settings.palettePlace());
    settings.palettePlace(-20, 30.5);
    assertArrayEquals(new double[] {-20, 30.5}, settings.palettePlace());
  }

  @Test
  void anAnswerBelongsWhereItWasAskedFor() {
    Targets<String> targets = new Targets<>();
    targets.put("one", "image A");
    targets.put("two", "image B");
    targets.put("three", "image A");
    assertEquals(Optional.of("image B"), targets.of("two"));
    assertEquals(List.of("one", "three"), targets.objectsOf("image A"::equals));
    assertEquals(Optional.of("image A"), targets.remove("one"));
    assertEquals(Optional.empty(), targets.of("one"));
    assertEquals(2, targets.size());
    targets.clear();
    assertEquals(0, targets.size());
  }

  @Test
  void settingsLast() {
    settings.server("gpu.lab:9000");
    settings.model("wsisam-lite");
    settings.tolerance(0.5);
    settings.className("Tumor");
    settings.sendPixels(false);
    Settings again = Settings.at(node);
    assertEquals("gpu.lab:9000", again.server());
    assertEquals(9000, again.clientOptions().address().port());
    assertEquals("wsisam-lite", again.segmentOptions().model());
    assertEquals(0.5, again.segmentOptions().tolerance());
    assertEquals("Tumor", again.className());
    assertFalse(again.sendPixels());
  }

  @Test
  void switchesLast() {
    assertTrue(settings.keepInStore());
    assertFalse(settings.watchColleagues());
    assertFalse(settings.finishing().isOn());
    assertNull(settings.segmentOptions().fillHolesBelow());
    assertNull(settings.segmentOptions().smoothing());
    assertNull(settings.segmentOptions().parts());
    settings.keepInStore(false);
    settings.watchColleagues(true);
    settings.fillHolesBelow(50);
    settings.smoothing(2);
    settings.promptedParts(false);
    settings.finishing(new Finishing(Overlap.NOT_WITH_ITS_CLASS, true));
    Settings again = Settings.at(node);
    assertFalse(again.keepInStore());
    assertTrue(again.watchColleagues());
    assertEquals(50, again.segmentOptions().fillHolesBelow());
    assertEquals(2, again.segmentOptions().smoothing());
    assertEquals(PartsPolicy.ALL, again.segmentOptions().parts());
    assertEquals(new Finishing(Overlap.NOT_WITH_ITS_CLASS, true), again.finishing());
    node.put("overlap", "sometimes");
    assertEquals(Overlap.ALLOWED, again.finishing().overlap());
  }

  @Test
  void nothingStoredOrNonsenseStoredGivesTheDefaults() {
    node.put("server", "not an address at all");
    node.put("tolerance", "fine");
    assertEquals("127.0.0.1:8765", settings.server());
    assertEquals(0, settings.tolerance());
    assertNull(settings.segmentOptions().tolerance());
    assertTrue(settings.sendPixels());
    assertEquals("", settings.className());
    assertEquals("", settings.model());
    node.put("tolerance", "NaN");
    assertEquals(0, settings.tolerance());
    assertThrows(WsiSamException.class, () -> settings.server("://"));
    assertEquals("not an address at all", node.get("server", ""));
  }

  @Test
  void theTokenIsReadFromItsFile(@TempDir Path folder) throws IOException {
    assertNull(settings.clientOptions().token());
    Path file = Files.writeString(folder.resolve("token"), "secret\n");
    settings.tokenFile(file.toString());
    assertEquals("secret", settings.clientOptions().token());
    assertFalse(settings.clientOptions().toString().contains("secret"));
    // As Windows' own programs write it, with a mark at the start.
    for (Charset charset : List.of(StandardCharsets.UTF_8, StandardCharsets.UTF_16LE, StandardCharsets.UTF_16BE)) {
      Files.writeString(file, "\ufeffsecret\r\n", charset);
      assertEquals("secret", settings.clientOptions().token());
    }
    Files.write(file, new byte[] {'s', (byte) 0xE9});
    assertEquals(
        ClientReason.BAD_TOKEN_FILE, assertThrows(WsiSamException.class, settings::clientOptions).reason());
    settings.tokenFile(folder.resolve("gone").toString());
    WsiSamException error = assertThrows(WsiSamException.class, settings::clientOptions);
    assertEquals(ClientReason.BAD_TOKEN_FILE, error.reason());
  }
}
