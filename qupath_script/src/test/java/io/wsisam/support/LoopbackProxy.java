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

/** A proxy on loopback, for HTTP's CONNECT and for SOCKS 5; whatever it is asked for, it connects to one port on loopback. */
public final class LoopbackProxy implements AutoCloseable {
  private static final int SOCKS = 5;
  private static final int IP4 = 4;
  private static final int PORT = 2;

  private final ServerSocket listening = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
  private final List<String> asked = new CopyOnWriteArrayList<>();
  private final List<Socket> open = new CopyOnWriteArrayList<>();
  private final int target;

  private LoopbackProxy(int target) throws IOException {
    this.target = target;
    daemon(this::accept);
  }

  /** One that leads to a port. */
  public static LoopbackProxy to(int port) throws IOException {
    return new LoopbackProxy(port);
  }

  /** One that forbids everything. */
  public static LoopbackProxy refusing() throws IOException {
    return new LoopbackProxy(0);
  }

  public int port() {
    return listening.getLocalPort();
  }

  /** What it was asked for: "CONNECT host:port", or "SOCKS". */
  public List<String> asked() {
    return List.copyOf(asked);
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
    int first = in.read();
    if (first == SOCKS) {
      socks(in, client.getOutputStream());
    } else if (!http(first, in, client.getOutputStream())) {
      client.close();
      return;
    }
    Socket server = new Socket(Proxy.NO_PROXY); // it is in the same program as the client, with its settings
    open.add(server);
    server.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), target));
    daemon(() -> server.getInputStream().transferTo(client.getOutputStream()));
    in.transferTo(server.getOutputStream());
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
