package io.wsisam.client.connection;

import io.grpc.CallCredentials;
import io.grpc.Metadata;
import java.util.concurrent.Executor;

/** Sends a token with each call. */
final class BearerToken extends CallCredentials {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private static final char DELETE = 127;

  private final String value;

  private BearerToken(String token) {
    value = "Bearer " + token;
  }

  /**
   * For a token.
   *
   * @throws WsiSamException TOKEN_INVALID: no header can carry it. gRPC would send something else in its place, or break the
   *     connection
   */
  static BearerToken of(String token) {
    for (int i = 0; i < token.length(); i++) {
      if (token.charAt(i) <= ' ' || token.charAt(i) > '~') {
        throw new WsiSamException(
            "UNAUTHENTICATED",
            "TOKEN_INVALID",
            ("This is not written as a token is given: character %d of %d is %s. A token is one line of letters, digits, _ and -."
                    + " Copy it anew, or ask the administrator for a new one ('wsisam token create').")
                .formatted(i + 1, token.length(), name(token.charAt(i))));
      }
    }
    return new BearerToken(token);
  }

  private static String name(char character) {
    return switch (character) {
      case '\n', '\r' -> "the end of a line";
      case ' ', '\t' -> "a space";
      default -> character < ' ' || character == DELETE ? "no character of text" : "none of these";
    };
  }

  @Override
  public void applyRequestMetadata(RequestInfo request, Executor executor, MetadataApplier applier) {
    Metadata headers = new Metadata();
    headers.put(AUTHORIZATION, value);
    applier.apply(headers);
  }
}
