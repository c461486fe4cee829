package io.wsisam.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.wsisam.client.annotations.StoredAnnotation;
import io.wsisam.client.connection.ClientOptions;
import io.wsisam.client.connection.ClientReason;
import io.wsisam.client.connection.WsiSamException;
import io.wsisam.client.segmentation.PromptRequest;
import io.wsisam.client.segmentation.PromptResult;
import io.wsisam.client.segmentation.SegmentOptions;
import io.wsisam.client.segmentation.Session;
import io.wsisam.client.segmentation.SessionState;
import io.wsisam.client.slides.Slide;
import io.wsisam.support.Discs;
import io.wsisam.support.Eventually;
import io.wsisam.support.RealServer;
import io.wsisam.support.Recorder;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The real server as a lab runs it: encrypted with the lab's own authority, on all addresses, with tokens. */
@Timeout(300)
class LabServerTest {
  private static final String PASSWORD = "changeit";

  @TempDir static Path folder;
  private static RealServer server;

  @BeforeAll
  static void start() throws Exception {
    certificates();
    Path slides = Files.createDirectory(folder.resolve("slides"));
    Discs.write(slides);
    server =
        RealServer.startWith(
            List.of(
                "--host", "0.0.0.0", "--tls-cert", folder.resolve("server.pem").toString(), "--tls-key",
                folder.resolve("server.key").toString(), "--tokens", tokens()),
            slides);
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  @Test
  void aTokenAndTheLabsAuthorityLetIn() throws Exception {
    try (WsiSamClient client = WsiSamClient.connect(options().withToken(create("anna")))) {
      assertTrue(WsiSamClient.await(client.models()).get(0).isInstalled());
    }
  }

  @Test
  void whatIsMissingOrWrongIsSaidWithWhatToDo() throws Exception {
    assertEquals("TOKEN_MISSING", refusal(options()).reason());
    WsiSamException unknown = refusal(options().withToken("wsisam_00000000_x"));
    assertEquals("UNAUTHENTICATED", unknown.status());
    assertEquals("TOKEN_INVALID", unknown.reason());
    assertTrue(unknown.text().contains("wsisam token create"), unknown.text());
    assertEquals(ClientReason.TLS_FAILED, refusal(options().withCertificates(null)).reason());
  }

  @Test
  void aReaderMayNotDraw() throws Exception {
    ClientOptions options = options().withToken(create("rita", "--role", "reader", "--project", "colon"));
    try (WsiSamClient client = WsiSamClient.connect(options)) {
      Slide slide = open(client);
      Recorder recorder = new Recorder();
      try (Session session = client.interact(slide, SegmentOptions.defaults(), recorder)) {
        session.prompt("disc", PromptRequest.of(Discs.around(0, 6)));
        assertEquals("ROLE_NOT_ALLOWED", recorder.failure().error().reason());
      }
    }
  }

  @Test
  void theAuthorIsTheTokensUser() throws Exception {
    try (WsiSamClient client = WsiSamClient.connect(options().withToken(create("ben")))) {
      Slide slide = open(client);
      PromptResult result =
          WsiSamClient.await(client.segment(slide, PromptRequest.of(Discs.around(0)), SegmentOptions.defaults()));
      StoredAnnotation drawn = StoredAnnotation.of(UUID.randomUUID().toString(), slide, result);
      WsiSamClient.await(client.annotations().save(List.of(drawn), "somebody else", List.of(slide)));
      assertEquals("ben", WsiSamClient.await(client.annotations().get(drawn.id())).author());
    }
  }

  @Test
  void aRevokedTokenEndsTheSessionWithTheReason() throws Exception {
    try (WsiSamClient client = WsiSamClient.connect(options().withToken(create("gone")))) {
      Slide slide = open(client);
      Recorder recorder = new Recorder();
      Session session = client.interact(slide, SegmentOptions.defaults(), recorder);
      session.prompt("disc", PromptRequest.of(Discs.around(0, 6)));
      assertEquals("disc", recorder.answer().objectId());
      wsisam("revoke", "gone");
      assertTrue(Eventually.holds(Duration.ofSeconds(20), () -> session.state() != SessionState.READY));
      session.prompt("disc", PromptRequest.of(Discs.around(0, 5)));
      assertEquals("TOKEN_INVALID", recorder.failure().error().reason());
    }
  }

  private static ClientOptions options() {
    return ClientOptions.to("https://localhost:" + server.port()).withCertificates(folder.resolve("ca.pem"));
  }

  private static Slide open(WsiSamClient client) {
    return WsiSamClient.await(
        client.openSlide(Discs.reference(folder.resolve("slides/discs.png").toUri(), null)));
  }

  private static WsiSamException refusal(ClientOptions options) {
    try (WsiSamClient client = WsiSamClient.connect(options)) {
      return assertThrows(WsiSamException.class, () -> WsiSamClient.await(client.models()));
    }
  }

  private static String tokens() {
    return folder.resolve("tokens.json").toString();
  }

  private static String create(String name, String... more) throws Exception {
    List<String> arguments = new ArrayList<>(List.of("create", name));
    arguments.addAll(List.of(more));
    return wsisam(arguments.toArray(String[]::new)).strip();
  }

  /** Runs `wsisam token`; returns what it printed. */
  private static String wsisam(String... arguments) throws Exception {
    List<String> command = new ArrayList<>(List.of(RealServer.python(), "-m", "wsisam_server", "token"));
    command.addAll(List.of(arguments));
    command.addAll(List.of("--tokens", tokens()));
    return run(command);
  }

  private static String run(List<String> command) throws Exception {
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), () -> String.join(" ", command));
    return printed;
  }

  /** An authority, and a certificate of it for localhost: ca.pem, server.pem and server.key. */
  private static void certificates() throws Exception {
    keytool("-genkeypair", "-alias", "ca", "-keyalg", "EC", "-dname", "CN=lab", "-ext", "bc:c", "-validity", "2");
    keytool("-genkeypair", "-alias", "server", "-keyalg", "EC", "-dname", "CN=localhost", "-validity", "2");
    keytool("-certreq", "-alias", "server", "-file", folder.resolve("server.csr").toString());
    keytool(
        "-gencert", "-alias", "ca", "-infile", folder.resolve("server.csr").toString(), "-outfile",
        folder.resolve("server.crt").toString(), "-ext", "SAN=dns:localhost,ip:127.0.0.1", "-validity", "2");
    keytool("-importcert", "-alias", "server", "-file", folder.resolve("server.crt").toString());
    KeyStore keys = KeyStore.getInstance("PKCS12");
    try (InputStream in = Files.newInputStream(folder.resolve("keys.p12"))) {
      keys.load(in, PASSWORD.toCharArray());
    }
    pem("ca.pem", "CERTIFICATE", List.of(keys.getCertificate("ca").getEncoded()));
    List<byte[]> chain = new ArrayList<>();
    for (Certificate certificate : keys.getCertificateChain("server")) {
      chain.add(certificate.getEncoded());
    }
    pem("server.pem", "CERTIFICATE", chain);
    pem("server.key", "PRIVATE KEY", List.of(keys.getKey("server", PASSWORD.toCharArray()).getEncoded()));
  }

  private static void keytool(String... arguments) throws Exception {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "keytool").toString());
    command.addAll(List.of(arguments));
    command.addAll(List.of("-keystore", folder.resolve("keys.p12").toString(), "-storetype", "PKCS12"));
    command.addAll(List.of("-storepass", PASSWORD, "-noprompt"));
    run(command);
  }

  private static void pem(String name, String kind, Collection<byte[]> contents) throws Exception {
    StringBuilder text = new StringBuilder();
    for (byte[] bytes : contents) {
      text.append("-----BEGIN ").append(kind).append("-----\n");
      text.append(Base64.getMimeEncoder().encodeToString(bytes)).append("\n-----END ").append(kind).append("-----\n");
    }
    Files.writeString(folder.resolve(name), text);
  }
}
