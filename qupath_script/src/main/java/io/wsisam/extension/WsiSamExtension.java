package io.wsisam.extension;

import io.wsisam.client.connection.ClientVersion;
import io.wsisam.extension.local.LocalServer;
import io.wsisam.script.Settings;
import java.nio.file.Path;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import qupath.fx.dialogs.Dialogs;
import qupath.lib.common.Version;
import qupath.lib.gui.QuPathGUI;
import qupath.lib.gui.UserDirectoryManager;
import qupath.lib.gui.extensions.QuPathExtension;

/** What QuPath finds in the jar. Found by name, in META-INF/services. */
public final class WsiSamExtension implements QuPathExtension {
  private static final Logger LOGGER = LoggerFactory.getLogger("WSI-SAM");
  private static final String INSTALLED = "wsisam.extension";

  /** Found by name. */
  public WsiSamExtension() {}

  @Override
  public void installExtension(QuPathGUI qupath) {
    Map<Object, Object> properties = qupath.getStage().getProperties();
    if (properties.putIfAbsent(INSTALLED, ClientVersion.TEXT) != null) {
      LOGGER.warn("WSI-SAM is there twice: of two jars in the folder of extensions, the first one counts.");
      return;
    }
    String running = String.valueOf(QuPathGUI.getVersion());
    Scripts scripts = new Scripts(UserDirectoryManager.getInstance()::getUserPath, running, getClass().getClassLoader());
    new ExtensionMenu(qupath, scripts).install();
    scripts.prepare();
    adoptLocalServer();
    String untried = TriedVersions.note(running);
    if (!untried.isEmpty()) {
      LOGGER.info(untried);
      Dialogs.showInfoNotification("WSI-SAM", untried);
    }
  }

  /** One that a QuPath left behind by a crash, or that another one uses, ends with the last that is open. */
  private static void adoptLocalServer() {
    Path directory = UserDirectoryManager.getInstance().getUserPath();
    if (directory == null) {
      return;
    }
    Thread thread =
        new Thread(() -> new LocalServer(directory, Settings.user()::localServerStays).adopt(), "wsisam-local-server");
    thread.setDaemon(true);
    thread.start();
  }

  @Override
  public String getName() {
    return "WSI-SAM";
  }

  @Override
  public String getDescription() {
    return Texts.of("description");
  }

  @Override
  public Version getQuPathVersion() {
    return Version.parse(TriedVersions.NEWEST + ".0");
  }
}
