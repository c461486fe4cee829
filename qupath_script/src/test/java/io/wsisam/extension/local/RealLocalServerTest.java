package io.wsisam.extension.local;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import io.wsisam.client.Health;
import io.wsisam.client.WsiSamClient;
import io.wsisam.client.connection.ClientOptions;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.slides.SlideReference;
import io.wsisam.support.Discs;
import io.wsisam.support.RealServer;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The real server, started as QuPath starts it: it opens the slides of its folders, for whoever has the token. */
class RealLocalServerTest {
  @TempDir Path userDirectory;

  @Test
  void itServesWhoHasTheToken() throws Exception {
    Path slides = Files.createDirectory(userDirectory.resolve("slides [1] 'é' ~"));
    Discs.write(slides);
    JsonObject note = new JsonObject();
    note.addProperty("wsisam", "0.1.0");
    note.addProperty("python", RealServer.python());
    Files.createDirectories(userDirectory.resolve("wsisam"));
    Files.writeString(userDirectory.resolve(Installation.NOTE), note.toString());
    LocalServer server = new LocalServer(userDirectory, () -> false);
    RunningServer running = server.start(List.of(slides), stage -> {});
    try {
      ClientOptions options = ClientOptions.to(running.address());
      try (WsiSamClient client = WsiSamClient.connect(options.withToken(Files.readString(running.tokenFile()).strip()))) {
        assertEquals(Health.SERVING, WsiSamClient.await(client.info()).health());
        URI slide = slides.resolve("discs.png").toUri();
        WsiSamClient.await(client.openSlide(SlideReference.of(List.of(slide), Discs.WIDTH, Discs.HEIGHT, Double.NaN, null)));
      }
      try (WsiSamClient stranger = WsiSamClient.connect(options)) {
        WsiSamException refused = assertThrows(WsiSamException.class, () -> WsiSamClient.await(stranger.models()));
        assertEquals("UNAUTHENTICATED", refused.status());
      }
      assertPrivate(running.tokenFile(), "rw-------");
      assertPrivate(running.tokenFile().getParent(), "rwx------");
    } finally {
      assertTrue(server.stop());
    }
    assertTrue(server.runningFolders().isEmpty());
  }

  private static void assertPrivate(Path path, String permissions) throws IOException {
    if (path.getFileSystem().supportedFileAttributeViews().contains("posix")) {
      assertEquals(permissions, PosixFilePermissions.toString(Files.getPosixFilePermissions(path)));
    }
  }
}
