package io.wsisam.client.connection;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.client.WsiSamClient;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Addresses, tokens, waiting times and failures. */
class ConnectionValuesTest {
  @ParameterizedTest
  @CsvSource({
    "127.0.0.1:8765, 127.0.0.1, 8765, false, 127.0.0.1:8765",
    "gpu.lab, gpu.lab, 8765, false, gpu.lab:8765",
    "' https://gpu.lab:443/ ', gpu.lab, 443, true, https://gpu.lab:443",
    "http://gpu.lab, gpu.lab, 8765, false, gpu.lab:8765",
    "[::1]:9000, ::1, 9000, false, [::1]:9000",
  })
  void addressesAreReadAsTyped(String text, String host, int port, boolean tls, String shown) {
    ServerAddress address = ServerAddress.parse(text);
    assertEquals(new ServerAddress(host, port, tls), address);
    assertEquals(shown, address.toString());
    assertEquals(address, ServerAddress.parse(address.toString()));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", " ", ":8765", "host:0", "host:70000", "host:abc", "ftp://host", "a b", "host/path", "u@host", "host?x"})
  void whatIsNoAddressIsAClearError(String text) {
    WsiSamException error = assertThrows(WsiSamException.class, () -> ServerAddress.parse(text));
    assertEquals(ClientReason.BAD_ADDRESS, error.reason());
    assertTrue(error.text().contains("host:port"));
  }

  @Test
  void aTokenIsNotSentReadableOverANetwork() {
    assertTrue(ServerAddress.parse("localhost").isLoopback());
    assertTrue(ServerAddress.parse("127.1.2.3:1").isLoopback());
    assertTrue(ServerAddress.parse("[::1]:1").isLoopback());
    assertFalse(ServerAddress.parse("10.0.0.1:1").isLoopback());
    assertFalse(ServerAddress.parse("127.evil.example:1").isLoopback());
    ClientOptions readable = ClientOptions.to("10.0.0.1:8765").withToken("secret");
    WsiSamException error = assertThrows(WsiSamException.class, () -> WsiSamClient.connect(readable));
    assertEquals(ClientReason.TOKEN_NEEDS_TLS, error.reason());
    assertThrows(IllegalArgumentException.class, () -> readable.withCallTimeout(Duration.ZERO));
  }

  /** gRPC would put question marks in the place of some of these, and break the connection at others. */
  @ParameterizedTest
  @CsvSource({
    "'wsisam_caf\u00e9', 11 of 11 is none of these",
    "'wsisam_\u0430b', 8 of 9 is none of these",
    "'two\nlines', 4 of 9 is the end of a line",
    "'two words', 4 of 9 is a space",
    "'bell\u0007', 5 of 5 is no character of text",
    "'\ufeffwsisam_ab', 1 of 10 is none of these",
  })
  void aTokenThatNoHeaderCarriesIsRefusedBeforeItIsSent(String token, String said) {
    ClientOptions options = ClientOptions.to("127.0.0.1:1").withToken(token);
    WsiSamException error = assertThrows(WsiSamException.class, () -> WsiSamClient.connect(options));
    assertEquals("UNAUTHENTICATED", error.status());
    assertEquals("TOKEN_INVALID", error.reason());
    assertTrue(error.text().contains("character " + said), error.text());
    assertFalse(error.text().contains("wsisam_"), error.text());
    WsiSamClient.connect(options.withToken(" wsisam_4f-A_9\n")).close();
  }

  @Test
  void waitingTimesDoubleAreBoundedJitteredAndReset() {
    Backoff longest = new Backoff(Duration.ofMillis(100), Duration.ofMillis(1000), () -> 1);
    List<Long> pauses = java.util.stream.Stream.generate(() -> longest.next().toMillis()).limit(6).toList();
    assertEquals(List.of(100L, 200L, 400L, 800L, 1000L, 1000L), pauses);
    longest.reset();
    assertEquals(100, longest.next().toMillis());
    assertEquals(50, new Backoff(Duration.ofMillis(100), Duration.ofMillis(1000), () -> 0).next().toMillis());
    Backoff many = new Backoff(Duration.ofMillis(100), Duration.ofMillis(1000));
    for (int i = 0; i < 5000; i++) {
      long pause = many.next().toMillis();
      assertTrue(pause >= 50 && pause <= 1000, "pause " + pause);
    }
  }

  @Test
  void anyFailureIsOneException() {
    WsiSamException ours = Errors.sessionClosed();
    assertEquals(ours, WsiSamException.of(new CompletionException(new ExecutionException(ours))));
    WsiSamException other = WsiSamException.of(new CompletionException(new IllegalStateException("odd")));
    assertEquals(ClientReason.UNEXPECTED, other.reason());
    assertTrue(other.text().contains("odd"));
  }
}
