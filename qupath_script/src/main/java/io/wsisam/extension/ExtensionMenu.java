package io.wsisam.extension;

import io.wsisam.script.Invitation;
import java.io.File;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import javafx.scene.Node;
import javafx.scene.control.Button;
import javafx.scene.control.Menu;
import javafx.scene.control.MenuItem;
import javafx.scene.control.Separator;
import javafx.scene.control.SeparatorMenuItem;
import javafx.scene.control.Tooltip;
import javafx.scene.input.KeyCombination;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import qupath.fx.dialogs.Dialogs;
import qupath.lib.gui.QuPathGUI;

/** QuPath's menu Extensions > WSI-SAM, and a button in the tool bar. Its methods run on the JavaFX thread. */
final class ExtensionMenu {
  private static final Logger LOGGER = LoggerFactory.getLogger("WSI-SAM");
  private static final String CLICKS = "WsiSamClicks";

  /** No tool and no command of QuPath 0.5 to 0.7 has it. */
  private static final KeyCombination CLICK_KEY = KeyCombination.valueOf("Q");

  private final QuPathGUI qupath;
  private final Scripts scripts;
  private final Map<String, MenuItem> items = new LinkedHashMap<>();
  private final Set<String> running = ConcurrentHashMap.newKeySet();

  ExtensionMenu(QuPathGUI qupath, Scripts scripts) {
    this.qupath = qupath;
    this.scripts = scripts;
  }

  void install() {
    for (String name : scripts.names()) {
      MenuItem item = add(name, () -> start(name));
      item.setId("wsisam-" + name);
      items.put(name, item);
    }
    if (qupath.lookupAccelerator(CLICK_KEY) == null) {
      items.get(CLICKS).acceleratorProperty().unbind(); // QuPath binds it to the command's own
      items.get(CLICKS).setAccelerator(CLICK_KEY);
    }
    qupath.getMenu(Texts.of("menu"), true).getItems().add(new SeparatorMenuItem());
    add("server", () -> inBackground(Texts.of("server"), () -> scripts.call("server", new Class<?>[0])));
    add("help", () -> inBackground(Texts.of("help"), () -> scripts.call("help", new Class<?>[0])));
    qupath.getMenu(Texts.of("menu"), true).addEventHandler(Menu.ON_SHOWING, event -> nameOwnCopies());
    nameOwnCopies();
    addButton();
    qupath.getDefaultDragDropListener().addFileDropHandler((viewer, files) -> takeInvitation(files));
  }

  /** An invitation that is dropped on the window sets everything up. */
  private boolean takeInvitation(List<File> files) {
    if (files.size() != 1 || !Invitation.isNamed(files.get(0).toPath())) {
      return false;
    }
    inBackground(
        Texts.of("invitation"), () -> scripts.call("invite", new Class<?>[] {File.class}, files.get(0)));
    return true;
  }

  private MenuItem add(String key, Runnable what) {
    return qupath.installCommand(Texts.of("menu") + ">" + Texts.of(key), what);
  }

  private void addButton() {
    if (qupath.getToolBar() == null) {
      return;
    }
    Button button = new Button(Texts.of("button"));
    button.setId("wsisam-button");
    button.setFocusTraversable(false);
    button.setTooltip(new Tooltip(Texts.of("button.help", Texts.of(CLICKS + ".help"), CLICK_KEY.getDisplayText())));
    button.setOnAction(event -> start(CLICKS));
    // Beside the tools: at the end, a narrow window hides it.
    List<Node> items = qupath.getToolBar().getItems();
    int afterTools = 0;
    while (afterTools < items.size() && !(items.get(afterTools) instanceof Separator)) {
      afterTools++;
    }
    items.add(afterTools, button);
  }

  /** A changed script is run in place of ours, and the menu says so. */
  private void nameOwnCopies() {
    items.forEach(
        (name, item) -> {
          String text = Texts.of(name);
          String shown = scripts.own(name).isPresent() ? Texts.of("own", text) : text;
          if (!shown.equals(item.getText())) {
            item.textProperty().unbind();
            item.setText(shown);
          }
        });
  }

  private void start(String name) {
    Optional<Path> own = scripts.own(name);
    inBackground(
        Texts.of(name),
        () -> {
          if (own.isPresent()) {
            qupath.runScript(own.get().toFile(), null);
          } else {
            String[] arguments = (String[]) scripts.call("arguments", new Class<?>[] {String.class}, name);
            if (arguments != null) {
              scripts.run(name, arguments);
            }
          }
        });
  }

  /** Scripts wait for servers; QuPath must not. One of a name at a time. */
  private void inBackground(String name, Work work) {
    if (!running.add(name)) {
      tell(Texts.of("running", name));
      return;
    }
    if (!scripts.prepare().isDone()) {
      tell(Texts.of("preparing"));
    }
    Thread thread =
        new Thread(
            () -> {
              try {
                work.run();
              } catch (Exception | LinkageError problem) {
                LOGGER.warn("{} did not run", name, problem);
                tell(Texts.of("failed", name, said(problem)));
              } finally {
                running.remove(name);
              }
            },
            "wsisam-menu");
    thread.setDaemon(true);
    thread.setContextClassLoader(getClass().getClassLoader());
    thread.start();
  }

  /** The outermost words: they are ours, and say what to do; those of the cause are a library's. */
  private static String said(Throwable problem) {
    return problem.getMessage() == null ? problem.toString() : problem.getMessage();
  }

  private static void tell(String text) {
    LOGGER.info(text);
    Dialogs.showInfoNotification("WSI-SAM", text);
  }

  /** What may fail in any way. */
  private interface Work {
    void run() throws Exception;
  }
}
