package qupath.lib.gui;

import java.io.File;
import javafx.scene.control.Menu;
import javafx.scene.control.MenuItem;
import javafx.scene.control.ToolBar;
import javafx.scene.input.KeyCombination;
import javafx.stage.Stage;
import javax.script.ScriptException;
import qupath.lib.common.Version;
import qupath.lib.gui.viewer.DragDropImportListener;

/** Signatures of QuPath 0.5 to 0.7, to compile against; never shipped. */
public abstract class QuPathGUI {
  private QuPathGUI() {}

  /** The version of the running QuPath. */
  public static Version getVersion() {
    throw new UnsupportedOperationException();
  }

  /** The main window. */
  public abstract Stage getStage();

  /** A menu by its path; made where it is not there. */
  public abstract Menu getMenu(String name, boolean createMenu);

  /** Adds a command at a path of the menu. */
  public abstract MenuItem installCommand(String menuPath, Runnable runnable);

  /** The action or item that has a key; null for none. */
  public abstract Object lookupAccelerator(KeyCombination keys);

  /** The main tool bar. */
  public abstract ToolBar getToolBar();

  /** What files that are dropped on the window go to. */
  public abstract DragDropImportListener getDefaultDragDropListener();

  /** Runs a script file, as the menu of user scripts does. */
  public abstract Object runScript(File file, String script) throws ScriptException;
}
