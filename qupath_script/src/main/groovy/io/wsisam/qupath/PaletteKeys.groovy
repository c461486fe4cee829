package io.wsisam.qupath

import javafx.scene.control.TextInputControl
import javafx.scene.input.KeyCode
import javafx.scene.input.KeyCombination
import javafx.scene.input.KeyEvent

/** What keys do, in the viewer and in the palette. On the JavaFX thread. */
class PaletteKeys {
    private final gui
    private final Map<String, List<String>> keys
    private final ClickTool tool
    private final Map<String, Closure> actions
    private final Closure<Boolean> drawing

    /**
     * @param keys lists of keys, by the action's name
     * @param actions what is done, by name; NUMBER gets the digit
     * @param drawing whether an object is being drawn
     */
    PaletteKeys(gui, Map<String, List<String>> keys, ClickTool tool, Map<String, Closure> actions, Closure<Boolean> drawing) {
        this.gui = gui
        this.keys = keys
        this.tool = tool
        this.actions = actions
        this.drawing = drawing
    }

    /** Enter and Backspace are ours also when nothing is drawn: once too often, they would rename or delete the selected object. */
    void pressed(KeyEvent e, boolean inPalette = false) {
        if (inPalette && matches('TOOL', e) && !(e.getTarget() instanceof TextInputControl)) {
            actions.TOOL()
            e.consume()
            return
        }
        if (!tool.isOn() || e.getTarget() instanceof TextInputControl)
            return
        def what = meant(e, inPalette)
        if (what == null)
            return
        what()
        e.consume()
    }

    private Closure meant(KeyEvent e, boolean inPalette) {
        boolean now = drawing()
        if (matches('REJECT', e) && !now)
            return null
        if (matches('UNDO', e) && !now && e.isShortcutDown())
            return inPalette ? { gui.getUndoRedoManager().undoOnce() } : null      // the menu's keys work in QuPath's own window only
        if (matches('REDO', e) && !now)
            return inPalette ? { gui.getUndoRedoManager().redoOnce() } : null
        def named = ['ACCEPT', 'REJECT', 'UNDO', 'REDO', 'REFINE', 'SMALLER', 'LARGER', 'NEXT_CLASS', 'PREVIOUS_CLASS', 'GO_ON'].find { matches(it, e) }
        if (named != null)
            return actions[named]
        e.getCode().isDigitKey() && !e.isShortcutDown() && !e.isAltDown() ? { actions.NUMBER(e.getCode().getChar() as int) } : null
    }

    /** Space moves the image also when the palette has the keyboard, instead of pressing one of its buttons. */
    void space(KeyEvent e) {
        if (e.getTarget() instanceof TextInputControl || (e.getCode() != KeyCode.SPACE && e.getCharacter() != ' '))
            return
        if (e.getEventType() == KeyEvent.KEY_PRESSED) {
            gui.getStage().requestFocus()       // which then hears that the key is released
            gui.getViewer()?.getView()?.requestFocus()
            gui.getViewer()?.setSpaceDown(true)
        }
        e.consume()
    }

    private boolean matches(String name, KeyEvent e) {
        keys[name].any { KeyCombination.valueOf(it).match(e) }
    }
}
