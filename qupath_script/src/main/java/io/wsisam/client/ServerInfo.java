package io.wsisam.client;

import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A server as it is now.
 *
 * @param address of the server
 * @param health whether it answers prompts
 * @param version its release, for example "0.1.0"; empty while it is loading, or when it does not say
 * @param models what it knows, the default first; empty while it is loading
 */
public record ServerInfo(String address, Health health, String version, List<ModelInfo> models) {
  private static final Pattern NUMBERS = Pattern.compile("(\\d{1,9})\\.(\\d{1,9})\\.");

  /** Copies the list. */
  public ServerInfo {
    models = List.copyOf(models);
  }

  /** Whether it is of an earlier release than this client, and may not know all of its calls. */
  public boolean isTooOld() {
    return isEarlier(version, WsiSamClient.version());
  }

  /** Whether the first two numbers of a release are lower than another's; false where one of them is no release. */
  static boolean isEarlier(String release, String other) {
    Matcher one = NUMBERS.matcher(release);
    Matcher two = NUMBERS.matcher(other);
    if (!one.lookingAt() || !two.lookingAt()) {
      return false;
    }
    int major = Integer.compare(Integer.parseInt(one.group(1)), Integer.parseInt(two.group(1)));
    return major < 0 || major == 0 && Integer.parseInt(one.group(2)) < Integer.parseInt(two.group(2));
  }

  /** The model that answers when none is named. */
  public Optional<ModelInfo> defaultModel() {
    return models.stream().filter(ModelInfo::isDefault).findFirst();
  }
}
