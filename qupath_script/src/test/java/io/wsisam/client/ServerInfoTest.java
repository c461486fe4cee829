package io.wsisam.client;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The release that a server names. */
class ServerInfoTest {
  @ParameterizedTest
  @CsvSource({
    "0.1.0, 0.2.0, true",
    "0.9.9, 0.10.0, true",
    "0.9.0, 1.0.0, true",
    "0.1.0, 0.1.9, false",
    "1.0.0, 0.9.0, false",
    "'', 0.1.0, false",
    "0+unknown, 0.1.0, false",
  })
  void aReleaseIsEarlierByItsFirstTwoNumbers(String release, String other, boolean earlier) {
    assertEquals(earlier, ServerInfo.isEarlier(release, other));
  }
}
