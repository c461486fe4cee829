package io.wsisam.support;

import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Stands between a client and a server on loopback. It may speak as a proxy does, HTTP's CONNECT and SOCKS 5; whatever it is
 * asked for, it connects to one port. And it can swallow what it carries without a word, as a cut line does.
 */
public final class Relay implements AutoCloseable {
  private static final int SOCKS = 5;
  private static final int IP4 = 4;
  private static final int PORT = 2;

  private final ServerSocket listening = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
  private final List<String> asked = new CopyOnWriteArrayList<>();
  private final List<Socket> open = new CopyOnWriteArrayList<>();
  private final AtomicInteger cuts = new AtomicInteger();
  private final int target;
  private final boolean proxy;

  private Relay(int target, boolean proxy) throws IOException {
    this.target = target;
    this.proxy = proxy;
    daemon(this::accept);
  }

  /** One that a client takes for the server at a port. */
  public static Relay to(int port) throws IOException {
    return new Relay(port, false);
  }

  /** A proxy that leads to a port. */
  public static Relay proxyTo(int port) throws IOException {
    return new Relay(port, true);
  }

  /** A proxy that forbids everything. */
  public static Relay refusingProxy() throws IOException {
    return new Relay(0, true);
  }

  public int port() {
    return listening.getLocalPort();
  }

  /** What a proxy was asked for: "CONNECT host:port", or "SOCKS". */
  public List<String> asked() {
    return List.copyOf(asked);
  }

  /** Swallows from now on what the present connections carry; new ones work. */
  public void cut() {
    cuts.incrementAndGet();
  }

  @Override
  public void close() throws IOException {
    listening.close();
    for (Socket socket : open) {
      socket.close();
    }
  }

  private void accept() throws IOException {
    while (!listening.isClosed()) {
      Socket client = listening.accept();
      open.add(client);
      daemon(() -> serve(client));
    }
  }

  private void serve(Socket client) throws IOException {
    DataInputStream in = new DataInputStream(client.getInputStream());
    if (proxy && !greet(in, client.getOutputStream())) {
      client.close();
      return;
    }
    int since = cuts.get();
    Socket server = new Socket(Proxy.NO_PROXY); // it is in the same program as the client, with its settings
    open.add(server);
    server.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), target));
    daemon(() -> pass(server.getInputStream(), client.getOutputStream(), since));
    pass(in, server.getOutputStream(), since);
  }

  private void pass(InputStream from, OutputStream to, int since) throws IOException {
    byte[] some = new byte[8192];
    for (int length = from.read(some); length >= 0; length = from.read(some)) {
      if (cuts.get() == since) {
        to.write(some, 0, length);
      }
    }
  }

  /** Whether the client may go on. */
  private boolean greet(DataInputStream in, OutputStream out) throws IOException {
    int first = in.read();
    if (first == SOCKS) {
      socks(in, out);
      return true;
    }
    return http(first, in, out);
  }

  private boolean http(int first, InputStream in, OutputStream out) throws IOException {
    StringBuilder head = new StringBuilder().append((char) first);
    while (head.indexOf("\r\n\r\n") < 0) {
      head.append((char) in.read());
    }
    asked.add(head.toString().replaceFirst("(?s) HTTP/.*", ""));
    String status = target == 0 ? "403 Forbidden\r\nContent-Length: 0" : "200 Connection established";
    out.write(("HTTP/1.1 " + status + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
    return target != 0;
  }

  private void socks(DataInputStream in, OutputStream out) throws IOException {
    asked.add("SOCKS");
    in.skipNBytes(in.read()); // ways to log in
    out.write(new byte[] {SOCKS, 0});
    in.skipNBytes(3);
    in.skipNBytes((in.read() == 1 ? IP4 : in.read()) + PORT);
    out.write(new byte[] {SOCKS, 0, 0, 1, 0, 0, 0, 0, 0, 0});
  }

  private interface Work {
    void run() throws IOException;
  }

  private static void daemon(Work work) {
    Thread thread =
        new Thread(
            () -> {
              try {
                work.run();
              } catch (IOException ended) {
                // one of the sides has gone
              }
            });
    thread.setDaemon(true);
    thread.start();
  }
}
