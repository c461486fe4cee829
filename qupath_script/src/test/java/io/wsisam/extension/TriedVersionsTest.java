package io.wsisam.extension;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A QuPath newer than those tried is named, in one line. */
class TriedVersionsTest {
  @ParameterizedTest
  @CsvSource({"0.6.0,false", "v0.7.1,false", "0.8.0-rc1,true", "v0.8.0-SNAPSHOT,true", "1.0.0,true", "0.10.2,true", "unknown,false"})
  void newerOnesAreNamed(String running, boolean named) {
    String note = TriedVersions.note(running);
    assertEquals(named, !note.isEmpty());
    assertEquals(0, note.lines().skip(1).count());
  }
}
