package io.wsisam.client.connection;

import java.net.InetAddress;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.UnknownHostException;
import java.util.Locale;
import java.util.Map;

/**
 * Where a server listens.
 *
 * @param host name or address; an IPv6 address without brackets
 * @param port 1 to 65535
 * @param tls whether the connection is encrypted
 */
public record ServerAddress(String host, int port, boolean tls) {
  /** The port of {@code wsisam serve} unless another is configured. */
  public static final int DEFAULT_PORT = 8765;

  private static final int LAST_PORT = 65535;

  /**
   * Reads what a user typed.
   *
   * @param text "host", "host:port", "[::1]:port", or with "http://" (plain) or "https://" (encrypted) before it
   * @throws WsiSamException BAD_ADDRESS
   */
  public static ServerAddress parse(String text) {
    String given = text == null ? "" : text.strip();
    String lower = given.toLowerCase(Locale.ROOT);
    String withScheme = lower.startsWith("http://") || lower.startsWith("https://") ? given : "http://" + given;
    try {
      URI uri = new URI(withScheme);
      String host = uri.getHost();
      boolean nothingElse =
          (uri.getPath().isEmpty() || uri.getPath().equals("/"))
              && uri.getQuery() == null
              && uri.getFragment() == null
              && uri.getUserInfo() == null;
      int port = uri.getPort() == -1 ? DEFAULT_PORT : uri.getPort();
      if (host != null && nothingElse && port >= 1 && port <= LAST_PORT) {
        String bare = host.startsWith("[") ? host.substring(1, host.length() - 1) : host;
        return new ServerAddress(bare, port, withScheme.toLowerCase(Locale.ROOT).startsWith("https:"));
      }
    } catch (URISyntaxException malformed) {
      // Reported below, in words that fit what the user typed.
    }
    throw new WsiSamException(
        "INVALID_ARGUMENT",
        ClientReason.BAD_ADDRESS,
        "'" + given + "' is no server address. Write it as host:port, for example 127.0.0.1:8765, or https://host:port"
            + " for an encrypted connection.",
        "",
        Map.of());
  }

  /** Whether the address is this computer itself, so that nothing sent to it crosses a network. */
  public boolean isLoopback() {
    if (host.equalsIgnoreCase("localhost")) {
      return true;
    }
    boolean literal = host.indexOf(':') >= 0 || host.matches("[0-9.]+");
    try {
      return literal && InetAddress.getByName(host).isLoopbackAddress(); // a literal: nothing is looked up
    } catch (UnknownHostException notAnAddress) {
      return false;
    }
  }

  /** Whether the way there does not leave this computer: {@link #isLoopback}, or 0.0.0.0, as a server names itself. */
  boolean isThisComputer() {
    return isLoopback() || host.equals("0.0.0.0") || host.equals("::");
  }

  /** As the user would write it. */
  @Override
  public String toString() {
    return (tls ? "https://" : "") + authority();
  }

  String authority() {
    return (host.indexOf(':') >= 0 ? "[" + host + "]" : host) + ":" + port;
  }
}
