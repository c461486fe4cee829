/*
 * WSI-SAM: click in the viewer, see the outline.
 *
 * Extensions > WSI-SAM > Click tool runs it, or Run in the script editor. A palette opens, and the click tool is selected:
 *   click = this belongs to the object      Alt-click or Ctrl/Cmd-click = this does not
 *   drag = a box about the object           Shift-drag = a rough loop about it
 *   space-drag = move the image, as always
 *   double click on an annotation = go on with it
 * One click may mean several objects: J shows a smaller one, K a larger one, and the wheel with Alt does both. Refine with more
 * clicks, then accept. Closing the palette removes everything again.
 *
 * The logic is in the client jar; change here what you want to look or feel different.
 */
import io.wsisam.qupath.OpenProjects
import io.wsisam.qupath.Palette
import javafx.application.Platform
import javafx.scene.input.MouseEvent
import javafx.scene.input.ScrollEvent
import qupath.lib.gui.QuPathGUI

// ---- What you may want to change ------------------------------------------------------------------------------------

/** Keys, while the click tool is selected and the viewer or the palette has the focus. The first of each is shown. */
def keys = [
    TOOL          : ['Q'],                          // the click tool on and off, also in QuPath's menu
    ACCEPT        : ['Enter'],
    REJECT        : ['Esc'],
    UNDO          : ['Backspace', 'Shortcut+Z'],    // Shortcut+Z is QuPath's own undo when nothing is being drawn
    REDO          : ['Shortcut+Shift+Z'],
    REFINE        : ['E'],
    SMALLER       : ['J'],                          // another object that is meant; past the smallest one, at half the field
    LARGER        : ['K'],
    GO_ON         : ['T'],                          // with the selected annotation
    NEXT_CLASS    : ['X'],                          // 1 to 9 are the classes, too, and 0 is none
    PREVIOUS_CLASS: ['Shift+X']
]

/** The name of a new annotation. */
String nameOf(String className, int number) {
    "${className ?: 'Object'} ${number}"
}

/** Which clicks mean the opposite of what the palette says. */
boolean isOpposite(MouseEvent e) {
    e.isAltDown() || e.isShortcutDown()
}

/** Which drags are a rough loop about the object, in place of a box. Decided where the drag begins. */
boolean isLoop(MouseEvent e) {
    e.isShiftDown()
}

/** Whether the wheel steps through sizes, as J and K do. QuPath has it alone, with Ctrl/Cmd, and with Shift. */
boolean isSizeStep(ScrollEvent e) {
    e.isAltDown()
}

// ---------------------------------------------------------------------------------------------------------------------

def qupath = QuPathGUI.getInstance()
OpenProjects.announce(qupath)
if (qupath == null)
    println 'WsiSamClicks needs QuPath\'s window. Use WsiSamAnnotate without one.'
else {
    def naming = this.&nameOf
    def opposite = this.&isOpposite
    def loops = this.&isLoop
    def steps = this.&isSizeStep
    Platform.runLater { Palette.open(qupath, keys, naming, opposite, loops, steps) }
}
