package io.wsisam.extension.local;

import java.nio.file.Path;
import java.util.List;

/**
 * A server on this computer that answers.
 *
 * @param address for the settings
 * @param tokenFile holds the token that it asks for
 * @param folders whose slides it opens; of others the pixels are sent
 * @param wasThere whether it ran already: of another QuPath, or left behind by one
 */
public record RunningServer(String address, Path tokenFile, List<String> folders, boolean wasThere) {
  /** Copies the list. */
  public RunningServer {
    folders = List.copyOf(folders);
  }
}
