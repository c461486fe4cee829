/*
 * WSI-SAM: find more objects like those that are there already.
 *
 * Extensions > WSI-SAM > Find more like this runs it, or Run in the script editor. Select some annotations of what you want, one
 * or several classes; without a selection, those that you accepted last show it. It looks in what the viewer shows, or in a
 * region that you select with them. What it proposes is drawn, not added: the slider says how sure it must be, a click rejects
 * one, Enter takes the rest, and Again asks anew with what you took and rejected.
 *
 * With 'Run for project', and without a window, say what shows it and where to look; what is sure enough is added:
 *   QuPath script -p project.qpproj -s --args like=class:Nucleus --args of=project --args which=class:Region* WsiSamLike.groovy
 */
import io.wsisam.qupath.Like
import io.wsisam.qupath.LikeWindow
import io.wsisam.qupath.Notifications
import io.wsisam.qupath.OpenProjects
import io.wsisam.qupath.SavedData
import io.wsisam.script.Arguments
import io.wsisam.script.Settings
import javafx.application.Platform
import qupath.lib.gui.QuPathGUI

// ---- What you may want to change ------------------------------------------------------------------------------------

def parameters = [
    like     : 'selected',  // what shows it: 'selected', or 'class:Nucleus', or 'class:Nucleus,Mitosis' ...
    unlike   : '',          // what resembles it and is not meant: '' or 'class:Debris' ...
    of       : 'image',     // 'image', or 'project': annotations of the project's other images show it, too
    which    : 'view',      // where to look: 'view', 'image', 'selected', 'class:Region*' ...; in the window what it shows, or a selected region
    howSure  : 0,           // without the window: how sure a proposal must be, 0 to 1. 0 = the server decides
    kind     : 'annotation',// 'annotation' or 'detection'
    model    : '',          // '' = the server's default
    tolerance: 0            // microns by which outlines may be simplified; 0 = the server decides
]
def access = [              // '' = as in the clicks palette, or as said last
    server      : '',       // host:port, or https://host:port
    tokenFile   : '',       // the file with your token; 'none' for no token
    certificates: ''        // the lab's certificates (PEM); 'none' for those that Java knows
]
/** Keys, while the window of proposals is open and the click tool is off. */
def keys = [
    TAKE     : ['Enter'],
    AGAIN    : ['Shift+Enter'],
    SURER    : ['Right'],
    LESS_SURE: ['Left']
]

// ---------------------------------------------------------------------------------------------------------------------

Arguments.read('WsiSamLike', args, parameters, access)
Arguments.keep(access, Settings.user())

def imageData = getCurrentImageData()
if (imageData == null)
    throw new IllegalStateException('WsiSamLike needs an open image.')
def gui = QuPathGUI.getInstance()
OpenProjects.announce(gui)
def onScreen = gui != null && gui.getAllViewers().any { it.getImageData().is(imageData) }     // false in 'Run for project'
if (onScreen)
    Platform.runLater { LikeWindow.open(gui, parameters, keys) }
else {
    SavedData.refuseUnreadable(getProject()?.getEntry(imageData), imageData)
    println("${imageData.getServer().getMetadata().getName()}: ${Like.run(imageData, parameters, getProject())}")
}
