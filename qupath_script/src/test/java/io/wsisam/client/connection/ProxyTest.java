package io.wsisam.client.connection;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.okhttp.OkHttpServerBuilder;
import io.grpc.stub.StreamObserver;
import io.wsisam.client.WsiSamClient;
import io.wsisam.support.Relay;
import io.wsisam.v1.ListModelsRequest;
import io.wsisam.v1.ListModelsResponse;
import io.wsisam.v1.SegmentationGrpc;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A proxy in Java's settings: this computer is never reached through it, other addresses as the settings say. */
@Timeout(60)
class ProxyTest {
  private static final List<String> NAMES =
      List.of(
          "http.proxyHost", "http.proxyPort", "https.proxyHost", "https.proxyPort", "http.nonProxyHosts",
          "socksProxyHost", "socksProxyPort", "socksNonProxyHosts");

  private final Map<String, String> before = new HashMap<>();
  private Server server;

  @BeforeEach
  void start() throws Exception {
    for (String name : NAMES) {
      before.put(name, System.getProperty(name));
    }
    InetSocketAddress loopback = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
    server =
        OkHttpServerBuilder.forPort(loopback, InsecureServerCredentials.create())
            .addService(new Models())
            .build()
            .start();
  }

  @AfterEach
  void stop() {
    before.forEach(ProxyTest::set);
    server.shutdownNow();
  }

  private static void set(String name, String valueOrNull) {
    if (valueOrNull == null) {
      System.clearProperty(name);
    } else {
      System.setProperty(name, valueOrNull);
    }
  }

  /** As an administrator sets it who has thought of no exception: an empty list takes Java's own ones away. */
  private static void useHttp(Relay proxy, String exceptions) {
    for (String scheme : List.of("http", "https")) {
      set(scheme + ".proxyHost", "127.0.0.1");
      set(scheme + ".proxyPort", String.valueOf(proxy.port()));
    }
    set("http.nonProxyHosts", exceptions);
  }

  private static void useSocks(Relay proxy) {
    set("socksProxyHost", "127.0.0.1");
    set("socksProxyPort", String.valueOf(proxy.port()));
    set("socksNonProxyHosts", "");
  }

  private int models(String host) {
    ClientOptions options = ClientOptions.to(host + ":" + server.getPort()).withCallTimeout(Duration.ofSeconds(20));
    try (WsiSamClient client = WsiSamClient.connect(options)) {
      return WsiSamClient.await(client.models()).size();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"127.0.0.1", "localhost", "0.0.0.0"})
  void thisComputerIsNeverReachedThroughOne(String host) throws Exception {
    try (Relay proxy = Relay.proxyTo(server.getPort())) {
      useHttp(proxy, "");
      assertEquals(1, models(host));
      useSocks(proxy);
      assertEquals(1, models(host));
      assertEquals(List.of(), proxy.asked());
    }
  }

  @Test
  void otherAddressesAreReachedThroughTheHttpProxy() throws Exception {
    try (Relay proxy = Relay.proxyTo(server.getPort())) {
      useHttp(proxy, "localhost|127.*");
      assertEquals(1, models("gpu.lab.invalid"));
      assertEquals(List.of("CONNECT gpu.lab.invalid:" + server.getPort()), proxy.asked());
    }
  }

  @Test
  void exceptionsAreRespected() throws Exception {
    try (Relay proxy = Relay.proxyTo(server.getPort())) {
      useHttp(proxy, "localhost|*.lab.invalid");
      WsiSamException unknown = assertThrows(WsiSamException.class, () -> models("gpu.lab.invalid"));
      assertTrue(unknown.text().startsWith("No computer named 'gpu.lab.invalid'"), unknown.text());
      assertEquals(List.of(), proxy.asked());
    }
  }

  @Test
  void aSocksProxyIsSpokenToInItsOwnWay() throws Exception {
    try (Relay proxy = Relay.proxyTo(server.getPort())) {
      useSocks(proxy);
      assertEquals(1, models("192.0.2.1")); // an address of documentation: nobody has it
      assertEquals(List.of("SOCKS"), proxy.asked());
    }
  }

  @Test
  void aProxyThatRefusesIsNamed() throws Exception {
    try (Relay proxy = Relay.refusingProxy()) {
      useHttp(proxy, "");
      WsiSamException refused = assertThrows(WsiSamException.class, () -> models("gpu.lab.invalid"));
      assertEquals(ClientReason.UNREACHABLE, refused.reason());
      assertTrue(refused.text().contains("proxy") && refused.text().contains("http.nonProxyHosts"), refused.text());
      assertTrue(refused.text().contains("403"), refused.text());
    }
  }

  /** Knows one model. */
  private static final class Models extends SegmentationGrpc.SegmentationImplBase {
    @Override
    public void listModels(ListModelsRequest request, StreamObserver<ListModelsResponse> observer) {
      observer.onNext(
          ListModelsResponse.newBuilder().addModels(io.wsisam.v1.Model.newBuilder().setName("one")).build());
      observer.onCompleted();
    }
  }
}
