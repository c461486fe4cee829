package io.wsisam.client.connection;

import java.io.EOFException;
import java.net.ConnectException;
import java.net.NoRouteToHostException;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.net.UnknownHostException;
import java.nio.channels.UnresolvedAddressException;
import java.security.cert.CertificateExpiredException;
import java.security.cert.CertificateNotYetValidException;
import java.util.Map;
import java.util.regex.Pattern;
import javax.net.ssl.SSLException;

/**
 * What is wrong with the way to a server, in the words of the Python client ({@code client/line_errors.py}). Java and gRPC tell most
 * causes by an exception's kind, and some by a text only. Texts that are not known stay as they are.
 */
final class LineErrors {
  /** What gRPC says when it cannot tunnel through a proxy. */
  private static final Pattern OF_A_PROXY =
      Pattern.compile("^(?:Response returned from proxy|Failed trying to connect with proxy)");

  /** Of Java's own check, and of gRPC's, which knows no exception of its own for it. */
  private static final Pattern ANOTHER_NAME =
      Pattern.compile("Cannot verify hostname|No subject alternative|No name matching|hostname .*not verified", Pattern.CASE_INSENSITIVE);

  /** An answer that is no TLS, however Java's versions say so. */
  private static final Pattern NOT_TLS =
      Pattern.compile("Unsupported or unrecognized SSL message|plaintext connection|not an SSL/TLS record", Pattern.CASE_INSENSITIVE);

  private static final Pattern NOT_TRUSTED =
      Pattern.compile("PKIX path|unable to find valid certification path|trustAnchors|signature check failed", Pattern.CASE_INSENSITIVE);

  /** What gRPC says of a connection that ended before anything was answered. */
  private static final Pattern ENDED =
      Pattern.compile("End of stream|Connection reset|Connection closed|Broken pipe|Socket closed|unexpected end", Pattern.CASE_INSENSITIVE);

  private final ServerAddress address;

  LineErrors(ServerAddress address) {
    this.address = address;
  }

  /**
   * A call that failed with UNAVAILABLE and no reason of the server's.
   *
   * @param cause what gRPC names as its cause, or null
   * @param text what gRPC says
   * @param reached whether the server has answered before
   */
  WsiSamException of(Throwable cause, String text, boolean reached, String requestId) {
    if (has(cause, SSLException.class)) {
      return own(ClientReason.TLS_FAILED, "No encrypted connection to " + address + ": " + ofTls(cause), requestId);
    }
    if (OF_A_PROXY.matcher(text).find()) {
      return own(
          ClientReason.UNREACHABLE,
          "The proxy of this computer's Java settings (https.proxyHost) did not connect to " + address + ": "
              + text.lines().findFirst().orElse("") + ". A server in the lab's own network belongs into http.nonProxyHosts.",
          requestId);
    }
    if (has(cause, UnknownHostException.class) || has(cause, UnresolvedAddressException.class)) {
      return own(
          ClientReason.UNREACHABLE,
          "No computer named '" + address.host() + "' is known here. Check the address, and the network (DNS, VPN).",
          requestId);
    }
    if (has(cause, ConnectException.class)
        || has(cause, NoRouteToHostException.class)
        || has(cause, SocketTimeoutException.class)) {
      return own(
          ClientReason.UNREACHABLE,
          "No server answers at " + address + ": is 'wsisam serve' running there? If so, check the port and the firewall.",
          requestId);
    }
    if (!reached && isEnded(cause, text)) {
      return own(address.tls() ? ClientReason.TLS_FAILED : ClientReason.CONNECTION_LOST, closedAtOnce(), requestId);
    }
    return own(ClientReason.CONNECTION_LOST, "The connection to " + address + " was lost: " + text, requestId);
  }

  private String ofTls(Throwable cause) {
    if (has(cause, CertificateExpiredException.class)) {
      return "the server's certificate has expired. Tell the administrator, who renews it without a restart. If it has not,"
          + " this computer's clock is wrong.";
    }
    if (has(cause, CertificateNotYetValidException.class)) {
      return "the server's certificate is not valid yet. Check this computer's clock; if it is right, tell the administrator.";
    }
    if (says(cause, ANOTHER_NAME)) {
      return "the server's certificate is for another name than '" + address.host()
          + "'. Use a name that is in it (subjectAltName), or have the administrator issue one with this name.";
    }
    if (says(cause, NOT_TRUSTED)) {
      return "the server's certificate is of no authority that is trusted here. Name the file of the lab's certificate"
          + " authority (Access in the palette; certificates=... for scripts).";
    }
    if (says(cause, NOT_TLS)) {
      return "what answers there does not encrypt (TLS). Leave out https:// if the server is meant to be so, or check the port.";
    }
    return "the two sides could not agree (TLS handshake: " + rootMessage(cause)
        + "). Check that the server encrypts, and whether it asks for a certificate of yours, which this client cannot show.";
  }

  private String closedAtOnce() {
    if (address.tls()) {
      return "The server at " + address + " closed the connection at once. It may ask for a certificate of yours, which this"
          + " client cannot show.";
    }
    return "What listens at " + address + " closed the connection at once: it may be a server that encrypts (TLS). Then write"
        + " https://" + address.authority() + ".";
  }

  private static boolean isEnded(Throwable cause, String text) {
    return has(cause, EOFException.class) || has(cause, SocketException.class) || ENDED.matcher(text).find();
  }

  private static WsiSamException own(String reason, String text, String requestId) {
    return new WsiSamException("UNAVAILABLE", reason, text, requestId, Map.of());
  }

  private static boolean has(Throwable failure, Class<? extends Throwable> kind) {
    for (Throwable at = failure; at != null; at = at.getCause()) {
      if (kind.isInstance(at)) {
        return true;
      }
    }
    return false;
  }

  private static boolean says(Throwable failure, Pattern words) {
    for (Throwable at = failure; at != null; at = at.getCause()) {
      if (at.getMessage() != null && words.matcher(at.getMessage()).find()) {
        return true;
      }
    }
    return false;
  }

  private static String rootMessage(Throwable failure) {
    Throwable at = failure;
    while (at.getCause() != null) {
      at = at.getCause();
    }
    return at.getMessage() == null ? at.getClass().getSimpleName() : at.getMessage();
  }
}
