package io.wsisam.qupath

import javafx.beans.value.ChangeListener
import javafx.event.EventHandler
import javafx.scene.Cursor
import javafx.scene.control.Label
import javafx.scene.input.MouseEvent
import qupath.lib.gui.QuPathGUI
import qupath.lib.gui.viewer.tools.PathTool
import qupath.lib.gui.viewer.tools.PathTools

/** The click tool among QuPath's tools: on, off, and gone again. Its methods run on the JavaFX thread. */
class ClickTool {
    private final QuPathGUI gui
    private final PathTool tool
    private final ChangeListener listener
    private PathTool before

    /**
     * @param onMouse gets all mouse events of the active viewer while the tool is on, and not while space is down
     * @param onSwitch called after it was switched, with whether it is on
     */
    ClickTool(QuPathGUI gui, Closure onMouse, Closure onSwitch) {
        this.gui = gui
        tool = PathTools.createTool({ MouseEvent e -> onMouse(e) } as EventHandler<MouseEvent>, 'WSI-SAM', new Label('W'))
        listener = { observable, was, is ->
            gui.getAllViewers().each { showCursor(it) }
            onSwitch(is.is(tool))
        } as ChangeListener
    }

    /** Puts it among the tools, and notes which one was on. */
    void install() {
        def selected = gui.getToolManager().selectedToolProperty()
        before = selected.get()
        selected.addListener(listener)
    }

    /** Leaves QuPath with another tool, also as the one that a middle click goes back to. */
    void remove() {
        def manager = gui.getToolManager()
        manager.selectedToolProperty().removeListener(listener)
        if (!manager.getSelectedTool().is(tool) && !manager.getPreviousSelectedTool().is(tool))
            return
        def now = manager.getSelectedTool().is(tool) ? before : manager.getSelectedTool()
        def locked = !manager.isToolSwitchingEnabled()
        manager.setToolSwitchingEnabled(true)
        manager.setSelectedTool(PathTools.RECTANGLE)
        manager.setSelectedTool(PathTools.MOVE)             // "previous" is now the rectangle
        manager.setSelectedTool(now.is(tool) ? PathTools.MOVE : now)
        manager.setToolSwitchingEnabled(!locked)
    }

    boolean isOn() {
        gui.getToolManager().getSelectedTool().is(tool)
    }

    /** Does nothing where QuPath's tool is locked. */
    void select(boolean on) {
        gui.getToolManager().setSelectedTool(on ? tool : PathTools.MOVE)
    }

    void showCursor(viewer) {
        viewer.setCursor(isOn() ? Cursor.CROSSHAIR : Cursor.DEFAULT)        // QuPath itself shows the moving tool's hand
    }
}
