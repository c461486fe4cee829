/*
 * WSI-SAM: look through annotations one by one, and say of each whether it stays.
 *
 * Extensions > WSI-SAM > Review runs it, or Run in the script editor. Each is zoomed to. The keys are below; T goes on with
 * one by clicks, in the click tool. What was looked at is not shown again, so that the work may be left and gone on with.
 *
 * Who accepted what, and when, is in the annotation's metadata. A rejected one is removed; QuPath's undo brings it back.
 */
import io.wsisam.qupath.OpenProjects
import io.wsisam.qupath.ReviewWindow
import io.wsisam.script.Arguments
import javafx.application.Platform
import qupath.lib.gui.QuPathGUI

// ---- What you may want to change ------------------------------------------------------------------------------------

def parameters = [
    which   : 'all',                                // 'all', 'selected' or 'class:Tumor' ...
    order   : 'place',                              // 'place': line by line; 'score': those first that the model is least sure of
    maxScore: 1,                                    // only those of at most this score; those without a score count as 0
    again   : false,                                // true: also those that were reviewed before
    reviewer: System.getProperty('user.name')
]
/** Keys, while the review's window is open and the click tool is off. Neither QuPath nor the click tool has them. */
def keys = [
    NEXT    : ['U'],
    PREVIOUS: ['Shift+U'],
    ACCEPT  : ['Enter'],
    REJECT  : ['Delete', 'Backspace'],
    GO_ON   : ['T']                                 // 1 to 9 are the classes, and 0 is none
]

// ---------------------------------------------------------------------------------------------------------------------

Arguments.read('WsiSamReview', args, parameters, [:])
def gui = QuPathGUI.getInstance()
if (gui == null)
    throw new IllegalStateException('WsiSamReview needs QuPath\'s window.')
if (getCurrentImageData() == null)
    throw new IllegalStateException('WsiSamReview needs an open image.')
OpenProjects.announce(gui)
Platform.runLater { ReviewWindow.open(gui, parameters, keys) }
