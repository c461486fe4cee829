package io.wsisam.client.connection;

import java.nio.file.Path;
import java.time.Duration;

/**
 * How to reach a server, and how patient to be.
 *
 * @param address where it listens
 * @param token bearer token, or null
 * @param certificates PEM file of the certificates to trust, or null for those of the Java runtime
 * @param callTimeout for calls with one answer, all attempts together
 * @param answerTimeout for each prompt of a session, for each window of a border that is refined there, and between two answers
 *     of a batch
 * @param firstRetry first waiting time before connecting again; doubled each time, with jitter
 * @param longestRetry longest such waiting time
 * @param keepalive how long a connection with calls on it may be silent before it is tried; the server allows one ping a minute,
 *     and below ten seconds gRPC takes ten
 * @param keepaliveAnswer how long that may take, before the connection counts as lost
 */
public record ClientOptions(
    ServerAddress address,
    String token,
    Path certificates,
    Duration callTimeout,
    Duration answerTimeout,
    Duration firstRetry,
    Duration longestRetry,
    Duration keepalive,
    Duration keepaliveAnswer) {
  private static final Duration CALL = Duration.ofSeconds(60);
  private static final Duration ANSWER = Duration.ofSeconds(120);
  private static final Duration FIRST_RETRY = Duration.ofMillis(250);
  private static final Duration LONGEST_RETRY = Duration.ofSeconds(15);

  /** With some room to a ping a minute, so that a clock that runs fast does not break the rule. */
  private static final Duration KEEPALIVE = Duration.ofSeconds(75);

  private static final Duration KEEPALIVE_ANSWER = Duration.ofSeconds(20);

  /** Checks that the times make sense. */
  public ClientOptions {
    for (Duration time : new Duration[] {
          callTimeout, answerTimeout, firstRetry, longestRetry, keepalive, keepaliveAnswer
        }) {
      if (time.isZero() || time.isNegative()) {
        throw new IllegalArgumentException("a waiting time must be positive: " + time);
      }
    }
  }

  /**
   * The usual patience.
   *
   * @throws WsiSamException BAD_ADDRESS
   */
  public static ClientOptions to(String address) {
    return new ClientOptions(
        ServerAddress.parse(address), null, null, CALL, ANSWER, FIRST_RETRY, LONGEST_RETRY, KEEPALIVE,
        KEEPALIVE_ANSWER);
  }

  /** With a bearer token; null for none. */
  public ClientOptions withToken(String newToken) {
    return new ClientOptions(
        address, newToken, certificates, callTimeout, answerTimeout, firstRetry, longestRetry, keepalive,
        keepaliveAnswer);
  }

  /** Trusting the certificates of a PEM file instead of the Java runtime's; null for the runtime's. */
  public ClientOptions withCertificates(Path pem) {
    return new ClientOptions(address, token, pem, callTimeout, answerTimeout, firstRetry, longestRetry, keepalive,
        keepaliveAnswer);
  }

  /** With another limit for calls with one answer. */
  public ClientOptions withCallTimeout(Duration timeout) {
    return new ClientOptions(address, token, certificates, timeout, answerTimeout, firstRetry, longestRetry, keepalive,
        keepaliveAnswer);
  }

  /** With another limit for the answer to a prompt. */
  public ClientOptions withAnswerTimeout(Duration timeout) {
    return new ClientOptions(address, token, certificates, callTimeout, timeout, firstRetry, longestRetry, keepalive,
        keepaliveAnswer);
  }

  /** With other waiting times before connecting again. */
  public ClientOptions withRetry(Duration first, Duration longest) {
    return new ClientOptions(address, token, certificates, callTimeout, answerTimeout, first, longest, keepalive,
        keepaliveAnswer);
  }

  /** With other times after which a silent connection is tried, and counts as lost. */
  public ClientOptions withKeepalive(Duration silence, Duration answer) {
    return new ClientOptions(
        address, token, certificates, callTimeout, answerTimeout, firstRetry, longestRetry, silence, answer);
  }

  /** Without the token. */
  @Override
  public String toString() {
    return "ClientOptions[" + address + (token == null ? "" : ", with a token") + "]";
  }
}
