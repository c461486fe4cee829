package io.wsisam.client.connection;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Properties;

/** This client's version, as the build wrote it. */
public final class ClientVersion {
  /** For example "0.1.0". */
  public static final String TEXT = read();

  private ClientVersion() {}

  private static String read() {
    try (InputStream file = ClientVersion.class.getResourceAsStream("version.properties")) {
      Properties properties = new Properties();
      properties.load(file);
      return properties.getProperty("version");
    } catch (IOException damaged) {
      throw new UncheckedIOException(damaged);
    }
  }
}
