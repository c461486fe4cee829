package io.wsisam.client.slides;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.URI;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What is known here of an image. */
class SlideReferenceTest {
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
}
