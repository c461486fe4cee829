package io.wsisam.support;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;

/** Stands between a client and a server on loopback, and can swallow what they send without a word, as a cut line does. */
public final class Relay implements AutoCloseable {
  private final ServerSocket listening = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
  private final List<Socket> open = new CopyOnWriteArrayList<>();
  private final AtomicInteger cuts = new AtomicInteger();
  private final int target;

  public Relay(int target) throws IOException {
    this.target = target;
    daemon(
        () -> {
          while (!listening.isClosed()) {
            connect(listening.accept());
          }
        });
  }

  public int port() {
    return listening.getLocalPort();
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

  private void connect(Socket client) throws IOException {
    Socket server = new Socket(InetAddress.getLoopbackAddress(), target);
    open.addAll(List.of(client, server));
    int since = cuts.get();
    daemon(() -> pass(client.getInputStream(), server.getOutputStream(), since));
    daemon(() -> pass(server.getInputStream(), client.getOutputStream(), since));
  }

  private void pass(InputStream from, OutputStream to, int since) throws IOException {
    byte[] some = new byte[8192];
    for (int length = from.read(some); length >= 0; length = from.read(some)) {
      if (cuts.get() == since) {
        to.write(some, 0, length);
      }
    }
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
