package io.wsisam.client;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.v1.MultiPolygon;
import io.wsisam.v1.Polygon;
import io.wsisam.v1.Ring;
import java.net.URI;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Addresses, polygons, waiting times and other values. */
class ValuesTest {
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
  void ringsAreDecodedWithTheirHoles() {
    Ring outer = Ring.newBuilder().addAllDeltas(List.of(6400, 3200, 320, 0, 0, 320)).build();
    Ring hole = Ring.newBuilder().addAllDeltas(List.of(6401, 3201, 32, 0, 0, -33)).build();
    MultiPolygon message =
        MultiPolygon.newBuilder()
            .addPolygons(Polygon.newBuilder().addRings(outer).addRings(hole))
            .addPolygons(Polygon.newBuilder().addRings(outer))
            .addPolygons(Polygon.getDefaultInstance())
            .build();
    List<PolygonPart> parts = SegmentationWire.parts(message);
    assertEquals(2, parts.size());
    assertArrayEquals(new double[] {200, 100, 210, 100, 210, 110}, parts.get(0).outer());
    assertArrayEquals(
        new double[] {200.03125, 100.03125, 201.03125, 100.03125, 201.03125, 99}, parts.get(0).holes().get(0));
    assertEquals(0, parts.get(1).holes().size());
    Outline outline =
        new Outline(parts, 1, new FieldWindow(0, 0, 1, 256), false, 1, false, 0, 0, "", "", new Timings(1, 2, 3, 4, 5, 0), List.of(), false);
    assertEquals(9, outline.vertexCount());
    assertArrayEquals(new double[] {200, 100, 210, 110}, outline.bounds());
    assertEquals(15, outline.timings().total());
  }

  @Test
  void aBorderIsRefinableWhereItsObjectIsTooLargeForAFinerWindow() {
    assertFalse(looked(false).isRefinable(1), "a server that does not refine");
    assertTrue(looked(false, 8).isRefinable(4));
    assertTrue(looked(false, 8).isRefinable(5));
    assertFalse(looked(false, 8).isRefinable(6), "the nearest scale is the field's own");
    assertFalse(looked(false, 8).isRefinable(16));
    assertTrue(looked(false, 8, 4).isRefinable(2));
    assertFalse(looked(false, 8, 4).isRefinable(4));
    assertFalse(looked(false, 32, 2).isRefinable(1), "a 16th of the field's scale is the finest");
    assertFalse(looked(true, 8, 4).isRefinable(1), "it met the limit");
    assertTrue(looked(true, 8, 4).isRefined());
    assertTrue(lookedIn(1024, false, 2).isRefinable(4), "four pixels of such a window make a cell of the mask");
    assertFalse(lookedIn(1024, false, 2).isRefinable(6));
    assertEquals(8, lookedIn(1024, false, 2).cell(new Level(2, 1)));
    assertFalse(looked(false, 8).isRefined());
  }

  private static Outline looked(boolean limited, double... downsamples) {
    return lookedIn(256, limited, downsamples);
  }

  private static Outline lookedIn(int size, boolean limited, double... downsamples) {
    return new Outline(
        List.of(new PolygonPart(new double[] {0, 0, 9, 0, 9, 9}, List.of())), 1, new FieldWindow(0, 0, 8, size), false, 1, false,
        0, 0, "", "", new Timings(1, 2, 3, 4, 5, 0),
        Arrays.stream(downsamples).mapToObj(one -> new Level(one, 1)).toList(), limited);
  }

  @Test
  void aRingMayReachAcrossTheLargestSlide() {
    Ring wide = Ring.newBuilder().addAllDeltas(List.of(Integer.MAX_VALUE, 0, Integer.MIN_VALUE, 5, 1, 1)).build();
    double[] ring =
        SegmentationWire.parts(MultiPolygon.newBuilder().addPolygons(Polygon.newBuilder().addRings(wide)).build()).get(0).outer();
    assertEquals(Integer.MAX_VALUE / 32.0, ring[0]);
    assertEquals(-1 / 32.0, ring[2]);
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
  void aReferenceIsMadeOfWhatAnImageServerTells() {
    URI file = URI.create("file:/slides/h%C3%BCbsch.svs?series=1#x");
    SlideReference reference =
        SlideReference.of(
            Arrays.asList(URI.create("https://host/a.svs?b"), null, file, file), 10, 20, Double.NaN, null);
    assertEquals(List.of("file:/slides/h%C3%BCbsch.svs", "https://host/a.svs"), reference.uris());
    assertTrue(reference.mpp().isEmpty());
    assertTrue(SlideReference.of(List.of(file), 1, 1, -1, null).mpp().isEmpty());
    assertEquals(0.25, SlideReference.of(List.of(file), 1, 1, 0.25, null).mpp().orElseThrow());
    assertEquals(List.of(""), SlideReference.of(List.of(), 1, 1, 1, null).uris());
    assertThrows(IllegalArgumentException.class, () -> SlideReference.of(List.of(file), 0, 1, 1, null));
  }

  @Test
  void anyFailureIsOneException() {
    WsiSamException ours = Errors.sessionClosed();
    assertEquals(ours, WsiSamException.of(new CompletionException(new ExecutionException(ours))));
    WsiSamException other = WsiSamException.of(new CompletionException(new IllegalStateException("odd")));
    assertEquals(ClientReason.UNEXPECTED, other.reason());
    assertTrue(other.text().contains("odd"));
  }

  @Test
  void aPromptNeedsABoxOrAPositivePoint() {
    assertFalse(new Prompt(List.of(), null).isSendable());
    assertFalse(new Prompt(List.of(new PointPrompt(1, 1, false)), null).isSendable());
    assertTrue(Prompt.click(1, 1).isSendable());
    Prompt box = Prompt.box(0, 0, 1, 1);
    assertTrue(box.withPoint(1, 1, false).isSendable());
    assertTrue(box.withPoint(1, 1, true).extendsEarlier(box));
    assertTrue(Prompt.click(1, 1).withBox(box.box()).extendsEarlier(Prompt.click(1, 1)));
    assertFalse(box.extendsEarlier(box.withPoint(1, 1, true)));
    assertFalse(Prompt.box(0, 0, 2, 2).extendsEarlier(box));
  }
}
