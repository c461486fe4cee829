package io.wsisam.client;

import java.util.List;
import java.util.Optional;

/**
 * A server as it is now.
 *
 * @param address where it was asked
 * @param health whether it answers prompts
 * @param models what it knows, the default first; empty while it is loading
 */
public record ServerInfo(String address, Health health, List<ModelInfo> models) {
  /** Copies the list. */
  public ServerInfo {
    models = List.copyOf(models);
  }

  /** The model that answers when none is named. */
  public Optional<ModelInfo> defaultModel() {
    return models.stream().filter(ModelInfo::isDefault).findFirst();
  }
}
