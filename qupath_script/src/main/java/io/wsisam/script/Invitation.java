package io.wsisam.script;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import io.wsisam.client.connection.ServerAddress;
import io.wsisam.client.connection.WsiSamException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.OffsetDateTime;
import java.time.format.DateTimeParseException;
import java.util.Locale;

/**
 * What an administrator sends a user, in one file: see {@code wsisam token create NAME --invite FILE}.
 *
 * @param server the server's address
 * @param user who it is for
 * @param token the user's token
 * @param certificates of the lab's authority, PEM; "" for those that Java knows
 * @param expires when the token ends; null for never
 */
public record Invitation(String server, String user, String token, String certificates, OffsetDateTime expires) {
  /** How the names of such files end. */
  public static final String ENDING = ".wsisam";

  private static final int FORMAT = 1;
  private static final long MOST_BYTES = 1 << 20;

  /** Whether a file has the name of an invitation. */
  public static boolean isNamed(Path file) {
    return file.getFileName() != null && file.getFileName().toString().toLowerCase(Locale.ROOT).endsWith(ENDING);
  }

  /**
   * Reads a file.
   *
   * @throws IllegalArgumentException it is no invitation, is of a newer form, or is over; the text says which
   * @throws IOException it cannot be read
   */
  public static Invitation read(Path file) throws IOException {
    if (Files.size(file) > MOST_BYTES) {
      throw wrong(file, "it is too large", null);
    }
    Invitation read;
    try {
      JsonObject json = JsonParser.parseString(Files.readString(file)).getAsJsonObject();
      if (json.get("wsisam_invitation").getAsInt() > FORMAT) {
        throw wrong(file, "it is of a newer kind than this client knows: update WSI-SAM in QuPath", null);
      }
      JsonElement end = json.get("expires");
      read =
          new Invitation(
              ServerAddress.parse(json.get("server").getAsString()).toString(),
              json.get("user").getAsString(),
              json.get("token").getAsString().strip(),
              json.get("certificates").getAsString(),
              end.isJsonNull() ? null : OffsetDateTime.parse(end.getAsString()));
    } catch (WsiSamException badAddress) {
      throw wrong(file, badAddress.text(), badAddress);
    } catch (JsonParseException
        | IllegalStateException
        | NullPointerException
        | NumberFormatException
        | UnsupportedOperationException
        | DateTimeParseException
        | java.nio.charset.MalformedInputException damaged) {
      throw wrong(file, "it is no invitation of WSI-SAM, or was damaged on its way", damaged);
    }
    if (read.expires != null && read.expires.isBefore(OffsetDateTime.now())) {
      throw wrong(file, "it is over since " + read.expires.toLocalDate() + ": ask for a new one", null);
    }
    return read;
  }

  /**
   * Keeps token and certificates in files that only this user reads, and has the settings name them.
   *
   * @param folder where; made if it is not there
   * @throws IOException they cannot be written; the settings are as they were
   */
  public void accept(Path folder, Settings settings) throws IOException {
    Files.createDirectories(folder);
    String name = user.replaceAll("[^\\p{L}\\p{N}._-]", "_");
    Path tokenFile = PrivateFile.write(folder.resolve(name + ".token"), token + "\n");
    Path trusted = certificates.isEmpty() ? null : PrivateFile.write(folder.resolve(name + ".pem"), certificates);
    settings.server(server);
    settings.tokenFile(tokenFile.toAbsolutePath().toString());
    settings.certificates(trusted == null ? "" : trusted.toAbsolutePath().toString());
  }

  private static IllegalArgumentException wrong(Path file, String why, Exception cause) {
    return new IllegalArgumentException(file.getFileName() + " was not used: " + why + ".", cause);
  }
}
