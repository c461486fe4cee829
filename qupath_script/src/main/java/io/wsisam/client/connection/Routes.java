package io.wsisam.client.connection;

import io.grpc.HttpConnectProxiedSocketAddress;
import io.grpc.ProxiedSocketAddress;
import io.grpc.ProxyDetector;
import java.io.IOException;
import java.net.Authenticator;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.PasswordAuthentication;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.Socket;
import java.net.SocketAddress;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.List;
import javax.net.SocketFactory;

/**
 * How connections to a server leave this computer: never through a proxy when the server is on this computer itself; else as Java's
 * {@link ProxySelector} says, which reads {@code https.proxyHost}, {@code socksProxyHost} and {@code http.nonProxyHosts}.
 */
final class Routes extends SocketFactory implements ProxyDetector {
  /** A network that swallows what is sent would keep an attempt for two minutes. */
  private static final int CONNECT_MILLIS = 20_000;

  /** A tunnel carries encrypted and open connections alike; Java keeps its settings for it under this scheme. */
  private static final String SCHEME = "https";

  private final ServerAddress address;

  Routes(ServerAddress address) {
    this.address = address;
  }

  /** An HTTP proxy to tunnel through, or null: Java's sockets themselves know of SOCKS. */
  @Override
  public ProxiedSocketAddress proxyFor(SocketAddress target) throws IOException {
    if (address.isThisComputer() || !(target instanceof InetSocketAddress internet)) {
      return null;
    }
    Proxy proxy = selected(internet);
    if (proxy.type() != Proxy.Type.HTTP || !(proxy.address() instanceof InetSocketAddress named)) {
      return null;
    }
    // Looked up here: gRPC connects to addresses only.
    InetAddress host = named.isUnresolved() ? InetAddress.getByName(named.getHostString()) : named.getAddress();
    PasswordAuthentication who =
        Authenticator.requestPasswordAuthentication(
            named.getHostString(), host, named.getPort(), SCHEME, "", "basic", null, Authenticator.RequestorType.PROXY);
    return HttpConnectProxiedSocketAddress.newBuilder()
        .setTargetAddress(internet)
        .setProxyAddress(new InetSocketAddress(host, named.getPort()))
        .setUsername(who == null ? null : who.getUserName())
        .setPassword(who == null ? null : new String(who.getPassword()))
        .build();
  }

  private static Proxy selected(InetSocketAddress target) {
    ProxySelector selector = ProxySelector.getDefault();
    try {
      URI uri = new URI(SCHEME, null, target.getHostString(), target.getPort(), null, null, null);
      List<Proxy> proxies = selector == null ? List.of() : selector.select(uri);
      return proxies.isEmpty() ? Proxy.NO_PROXY : proxies.get(0);
    } catch (URISyntaxException | IllegalArgumentException noUri) {
      return Proxy.NO_PROXY;
    }
  }

  @Override
  public Socket createSocket() {
    return address.isThisComputer() ? new Socket(Proxy.NO_PROXY) : new Socket();
  }

  @Override
  public Socket createSocket(InetAddress host, int port) throws IOException {
    return connected(new InetSocketAddress(host, port), null);
  }

  @Override
  public Socket createSocket(String host, int port) throws IOException {
    return connected(new InetSocketAddress(host, port), null);
  }

  @Override
  public Socket createSocket(InetAddress host, int port, InetAddress localHost, int localPort) throws IOException {
    return connected(new InetSocketAddress(host, port), new InetSocketAddress(localHost, localPort));
  }

  @Override
  public Socket createSocket(String host, int port, InetAddress localHost, int localPort) throws IOException {
    return connected(new InetSocketAddress(host, port), new InetSocketAddress(localHost, localPort));
  }

  private Socket connected(InetSocketAddress there, InetSocketAddress hereOrNull) throws IOException {
    Socket socket = createSocket();
    try {
      if (hereOrNull != null) {
        socket.bind(hereOrNull);
      }
      socket.connect(there, CONNECT_MILLIS);
      return socket;
    } catch (IOException | RuntimeException failed) {
      socket.close();
      throw failed;
    }
  }
}
