package io.wsisam.script;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.extension.local.StartStage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.text.MessageFormat;
import java.util.ResourceBundle;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The texts of palette.properties and the Groovy that shows them know each other. */
class PaletteTextsTest {
  private static final ResourceBundle TEXTS = ResourceBundle.getBundle("io.wsisam.qupath.palette");
  private static final Pattern USED = Pattern.compile("PaletteTexts\\.of\\('([^']+)'");

  @Test
  void eachThatIsShownIsThere() throws IOException {
    Set<String> missing = new TreeSet<>();
    for (Path source : GroovySourcesTest.sources()) {
      Matcher used = USED.matcher(Files.readString(source));
      while (used.find()) {
        if (!TEXTS.containsKey(used.group(1))) {
          missing.add(used.group(1));
        }
      }
    }
    assertEquals(Set.of(), missing);
  }

  @Test
  void eachStageOfALocalServerHasOne() {
    for (StartStage stage : StartStage.values()) {
      assertTrue(TEXTS.containsKey("local." + stage.name()), stage.name());
    }
  }

  /** A single apostrophe or brace spoils all after it. */
  @Test
  void eachCanBeFilledIn() {
    for (String key : TEXTS.keySet()) {
      String pattern = TEXTS.getString(key);
      String filled = MessageFormat.format(pattern, "<first>", "<second>");
      assertEquals(pattern.contains("{0}"), filled.contains("<first>"), key);
      assertEquals(pattern.contains("{1}"), filled.contains("<second>"), key);
    }
  }
}
