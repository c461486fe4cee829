package io.wsisam.client.connection;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
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
import java.util.Base64;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Encrypted connections and tokens, with a certificate that this test makes. */
@Timeout(60)
class TlsTest {
  private static final String PASSWORD = "changeit";

  private final AtomicReference<String> authorization = new AtomicReference<>();

  @TempDir static Path folder;
  private Server server;

  @BeforeAll
  static void makeTheCertificate() throws Exception {
    Path store = folder.resolve("server.p12");
    Process keytool =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair", "-alias", "server", "-keyalg", "EC", "-dname", "CN=localhost", "-ext",
                "SAN=dns:localhost,ip:127.0.0.1", "-validity", "2", "-storetype", "PKCS12", "-keystore",
                store.toString(), "-storepass", PASSWORD)
            .redirectErrorStream(true)
            .start();
    assertEquals(0, keytool.waitFor(), () -> keytool.toString());
    KeyStore keys = KeyStore.getInstance("PKCS12");
    try (InputStream in = Files.newInputStream(store)) {
      keys.load(in, PASSWORD.toCharArray());
    }
    pem("server.crt", "CERTIFICATE", keys.getCertificate("server").getEncoded());
    pem("server.key", "PRIVATE KEY", keys.getKey("server", PASSWORD.toCharArray()).getEncoded());
  }

  @BeforeEach
  void start() throws Exception {
    server =
        OkHttpServerBuilder.forPort(
                new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
                TlsServerCredentials.create(
                    folder.resolve("server.crt").toFile(), folder.resolve("server.key").toFile()))
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
    ClientOptions options = options().withCertificates(folder.resolve("server.crt")).withToken("secret");
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
