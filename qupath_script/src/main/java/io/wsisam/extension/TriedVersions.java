package io.wsisam.extension;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** In which QuPath the extension was tried. A newer one is not refused: most things go on working. */
final class TriedVersions {
  static final String NEWEST = "0.7";
  private static final Pattern NUMBERS = Pattern.compile("v?(\\d+)\\.(\\d+).*");

  private TriedVersions() {}

  /** One line for the user of a newer QuPath; "" for the others. */
  static String note(String running) {
    Matcher newest = NUMBERS.matcher(NEWEST);
    Matcher now = NUMBERS.matcher(running);
    return newest.matches() && now.matches() && number(now) > number(newest)
        ? Texts.of("untried", now.group(1) + "." + now.group(2), NEWEST)
        : "";
  }

  private static long number(Matcher version) {
    return Long.parseLong(version.group(1)) * 10_000 + Long.parseLong(version.group(2));
  }
}
