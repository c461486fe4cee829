package io.wsisam.client.connection;

/**
 * The client's own reasons; all others are the server's (its catalogue is in {@code wsisam_server/core/errors.py}). Stable:
 * never renamed, only added.
 */
public final class ClientReason {
  /** No connection: nothing listens there, a name that is not known, a network that is down. */
  public static final String UNREACHABLE = "UNREACHABLE";

  /** The encrypted connection was refused by one of the sides: a certificate that is not trusted, or no TLS there. */
  public static final String TLS_FAILED = "TLS_FAILED";

  /** The server was there and went away before it answered. */
  public static final String CONNECTION_LOST = "CONNECTION_LOST";

  /** The server is there and did not answer in the time that the client waits. */
  public static final String NO_ANSWER_IN_TIME = "NO_ANSWER_IN_TIME";

  /** The client was closed before the answer came, or is closed. */
  public static final String CLIENT_CLOSED = "CLIENT_CLOSED";

  /** The session was closed before the answer came, or is closed. */
  public static final String SESSION_CLOSED = "SESSION_CLOSED";

  /** The batch was cancelled before the item was answered. */
  public static final String BATCH_CANCELLED = "BATCH_CANCELLED";

  /** The server does not know this call: it is older than this client. */
  public static final String SERVER_TOO_OLD = "SERVER_TOO_OLD";

  /** What listens there is no wsisam server. */
  public static final String NOT_A_WSISAM_SERVER = "NOT_A_WSISAM_SERVER";

  /** An address that cannot be read. */
  public static final String BAD_ADDRESS = "BAD_ADDRESS";

  /** A token would cross the network readable for everyone. */
  public static final String TOKEN_NEEDS_TLS = "TOKEN_NEEDS_TLS";

  /** The file of certificates cannot be read. */
  public static final String BAD_CERTIFICATES = "BAD_CERTIFICATES";

  /** The file of the token cannot be read. */
  public static final String BAD_TOKEN_FILE = "BAD_TOKEN_FILE";

  /** The image was closed on the server, from here. */
  public static final String SLIDE_CLOSED = "SLIDE_CLOSED";

  /** The server's file has another size than the image that is open here. */
  public static final String SLIDE_DIFFERS = "SLIDE_DIFFERS";

  /** The pixels that the server needs could not be read here. */
  public static final String PIXELS_FAILED = "PIXELS_FAILED";

  /** A text that should hold prompts does not. */
  public static final String BAD_PROMPT_TEXT = "BAD_PROMPT_TEXT";

  /** The server keeps another store of annotations than before. */
  public static final String STORE_CHANGED = "STORE_CHANGED";

  /** The server answered something that the contract does not allow. */
  public static final String UNEXPECTED_ANSWER = "UNEXPECTED_ANSWER";

  /** An error that is not of the server or the connection: a bug in this client or in a script. */
  public static final String UNEXPECTED = "UNEXPECTED";

  private ClientReason() {}
}
