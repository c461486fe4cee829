/*
 * WSI-SAM: outline annotations that are there already, each from its shape, its box or its points.
 *
 * Works in the window (select annotations first), with 'Run for project' (say which), and without a window:
 *   QuPath script -p project.qpproj -s --args which=class:Tumor WsiSamAnnotate.groovy
 *
 * An annotation keeps its id, name and class and gets the outline that the model sees in it. Never changed are locked ones, lines, and
 * those of class Region* or Ignore*; points of class Ignore* are negative clicks for what they lie in or near.
 */
import io.wsisam.qupath.Notifications
import io.wsisam.qupath.OpenProjects
import io.wsisam.qupath.Refine
import io.wsisam.qupath.SavedData
import io.wsisam.script.Arguments
import io.wsisam.script.Settings
import qupath.lib.gui.QuPathGUI
import qupath.lib.gui.TaskRunnerFX

// ---- What you may want to change ------------------------------------------------------------------------------------

def parameters = [
    which    : 'selected',  // 'selected', 'all' or 'class:Tumor' ...; what is hand-drawn is rewritten, so 'all' must be said
    prompt   : 'shape',     // a drawn outline is the prompt as it is, a rectangle its box; 'box' = of all the bounding box
    margin   : 0,           // microns by which an annotation's box is widened (pixels for an image without calibration)
    border   : 0,           // microns for each pixel at which the borders of large objects are looked at again (slow); 0 = they are not
    model    : '',          // '' = the server's default
    tolerance: 0            // microns by which the outline may be simplified; 0 = the server decides
]
def access = [              // '' = as in the clicks palette, or as said last
    server      : '',       // host:port, or https://host:port
    tokenFile   : '',       // the file with your token; 'none' for no token
    certificates: ''        // the lab's certificates (PEM); 'none' for those that Java knows
]

// ---------------------------------------------------------------------------------------------------------------------

Arguments.read('WsiSamAnnotate', args, parameters, access)
Arguments.keep(access, Settings.user())

def imageData = getCurrentImageData()
if (imageData == null)
    throw new IllegalStateException('WsiSamAnnotate needs an open image.')
def gui = QuPathGUI.getInstance()
OpenProjects.announce(gui)
def onScreen = gui != null && gui.getAllViewers().any { it.getImageData().is(imageData) }     // false in 'Run for project'
if (!onScreen)
    SavedData.refuseUnreadable(getProject()?.getEntry(imageData), imageData)
def said = Refine.run(imageData, parameters, onScreen ? new TaskRunnerFX(gui).makeProgressMonitor() : null)
onScreen ? Notifications.show(said) : println("${imageData.getServer().getMetadata().getName()}: ${said}")
