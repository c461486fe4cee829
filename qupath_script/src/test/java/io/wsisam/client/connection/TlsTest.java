package io.wsisam.client.connection;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.InsecureServerCredentials;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerCredentials;
import io.grpc.ServerInterceptor;
import io.grpc.ServerInterceptors;
import io.grpc.TlsServerCredentials;
import io.grpc.okhttp.OkHttpServerBuilder;
import io.grpc.stub.StreamObserver;
import io.wsisam.client.ModelInfo;
import io.wsisam.client.WsiSamClient;
import io.wsisam.v1.ListModelsRequest;
import io.wsisam.v1.ListModelsResponse;
import io.wsisam.v1.Model;
import io.wsisam.v1.SegmentationGrpc;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Encrypted connections and tokens, with a certificate that this test makes. */
@Timeout(60)
class TlsTest {
  private static final String PASSWORD = "changeit";

  private final AtomicReference<String> authorization = new AtomicReference<>();

  @TempDir static Path folder;
  private Server server;

  /** A lab's authority, and certificates that it signed, by what is wrong with them. */
  @BeforeAll
  static void makeTheCertificates() throws Exception {
    String here = "SAN=dns:localhost,ip:127.0.0.1";
    make("ca", "-ext", "bc:c", "-startdate", "-30d", "-validity", "60");
    make("server", "-signer", "ca", "-ext", here, "-validity", "2");
    make("expired", "-signer", "ca", "-ext", here, "-startdate", "-9d", "-validity", "2");
    make("early", "-signer", "ca", "-ext", here, "-startdate", "+9d", "-validity", "2");
    make("named", "-signer", "ca", "-ext", "SAN=dns:gpu.lab", "-validity", "2");
  }

  private static void make(String name, String... options) throws Exception {
    Path store = folder.resolve("keys.p12");
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair", "-alias", name, "-keyalg", "EC", "-dname", "CN=" + name, "-storetype", "PKCS12", "-keystore",
                store.toString(), "-storepass", PASSWORD));
    command.addAll(List.of(options));
    Process keytool = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said = new String(keytool.getInputStream().readAllBytes());
    assertEquals(0, keytool.waitFor(), said);
    KeyStore keys = KeyStore.getInstance("PKCS12");
    try (InputStream in = Files.newInputStream(store)) {
      keys.load(in, PASSWORD.toCharArray());
    }
    pem(name + ".crt", "CERTIFICATE", keys.getCertificate(name).getEncoded());
    pem(name + ".key", "PRIVATE KEY", keys.getKey(name, PASSWORD.toCharArray()).getEncoded());
  }

  @BeforeEach
  void start() throws Exception {
    serve("server");
  }

  /** A server with a certificate; "" for one that does not encrypt. */
  private void serve(String name) throws Exception {
    if (server != null) {
      server.shutdownNow();
    }
    ServerCredentials credentials =
        name.isEmpty()
            ? InsecureServerCredentials.create()
            : TlsServerCredentials.create(folder.resolve(name + ".crt").toFile(), folder.resolve(name + ".key").toFile());
    server =
        OkHttpServerBuilder.forPort(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), credentials)
            .addService(ServerInterceptors.intercept(new OneModel(), new ReadsTheToken()))
            .build()
            .start();
  }

  @AfterEach
  void stop() {
    server.shutdownNow();
  }

  private static void pem(String name, String kind, byte[] bytes) throws Exception {
    Path file = folder.resolve(name);
    try (OutputStream out = Files.newOutputStream(file)) {
      String text =
          "-----BEGIN " + kind + "-----\n" + Base64.getMimeEncoder().encodeToString(bytes) + "\n-----END " + kind + "-----\n";
      out.write(text.getBytes(java.nio.charset.StandardCharsets.US_ASCII));
    }
  }

  private ClientOptions options() {
    return ClientOptions.to("https://localhost:" + server.getPort());
  }

  @Test
  void anEncryptedConnectionCarriesTheToken() {
    ClientOptions options = options().withCertificates(folder.resolve("ca.crt")).withToken("secret");
    try (WsiSamClient client = WsiSamClient.connect(options)) {
      List<ModelInfo> models = WsiSamClient.await(client.models());
      assertEquals("over-tls", models.get(0).name());
      assertEquals("Bearer secret", authorization.get());
    }
  }

  @Test
  void aCertificateThatIsNotTrustedIsRefused() {
    try (WsiSamClient client = WsiSamClient.connect(options())) {
      WsiSamException error = assertThrows(WsiSamException.class, () -> WsiSamClient.await(client.models()));
      assertEquals(ClientReason.TLS_FAILED, error.reason(), error::toString);
      assertTrue(error.text().contains("trusted"), error.text());
    }
  }

  /** In the words of the Python client, which tests/client/test_line_errors.py holds to the same. */
  @ParameterizedTest
  @CsvSource({
    "expired, https://, certificate has expired",
    "early, https://, not valid yet",
    "named, https://, another name than 'localhost'",
    "'', https://, does not encrypt (TLS)",
    "server, '', Then write https://localhost",
  })
  void eachCauseIsTold(String name, String scheme, String words) throws Exception {
    serve(name);
    ClientOptions options = ClientOptions.to(scheme + "localhost:" + server.getPort());
    if (!scheme.isEmpty()) {
      options = options.withCertificates(folder.resolve("ca.crt"));
    }
    try (WsiSamClient client = WsiSamClient.connect(options)) {
      WsiSamException error = assertThrows(WsiSamException.class, () -> WsiSamClient.await(client.models()));
      assertTrue(error.text().contains(words), error.text());
      assertEquals(scheme.isEmpty() ? ClientReason.CONNECTION_LOST : ClientReason.TLS_FAILED, error.reason());
    }
  }

  @Test
  void aNameThatNobodyKnows() {
    try (WsiSamClient client = WsiSamClient.connect(ClientOptions.to("no-such-computer.invalid"))) {
      WsiSamException error = assertThrows(WsiSamException.class, () -> WsiSamClient.await(client.models()));
      assertTrue(error.text().contains("No computer named 'no-such-computer.invalid'"), error.text());
    }
  }

  @Test
  void certificatesThatCannotBeReadAreAClearError() {
    ClientOptions options = options().withCertificates(folder.resolve("missing.crt"));
    WsiSamException error = assertThrows(WsiSamException.class, () -> WsiSamClient.connect(options));
    assertEquals(ClientReason.BAD_CERTIFICATES, error.reason());
  }

  private static final class OneModel extends SegmentationGrpc.SegmentationImplBase {
    @Override
    public void listModels(ListModelsRequest request, StreamObserver<ListModelsResponse> observer) {
      observer.onNext(ListModelsResponse.newBuilder().addModels(Model.newBuilder().setName("over-tls")).build());
      observer.onCompleted();
    }
  }

  private final class ReadsTheToken implements ServerInterceptor {
    @Override
    public <Q, A> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
      authorization.set(headers.get(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER)));
      return next.startCall(call, headers);
    }
  }
}
