/*
 * WSI-SAM: propose all objects of some size in annotations that are there already: the nuclei in a gland, the glands in a region.
 *
 * Works in the window (select the annotations to look in), with 'Run for project' (say which), and without a window:
 *   QuPath script -p project.qpproj -s --args which=class:Region --args minSize=30 --args maxSize=90 WsiSamEverything.groovy
 *
 * What is found becomes children of the annotation. What is there already stays, and nothing is proposed in its place.
 */
import io.wsisam.qupath.Notifications
import io.wsisam.qupath.OpenProjects
import io.wsisam.qupath.Propose
import io.wsisam.qupath.SavedData
import io.wsisam.script.Arguments
import io.wsisam.script.Settings
import qupath.lib.gui.QuPathGUI
import qupath.lib.gui.TaskRunnerFX

// ---- What you may want to change ------------------------------------------------------------------------------------

def parameters = [
    which       : 'selected',   // where to look: 'selected', 'all' or 'class:Region' ...
    minSize     : 5,            // microns (pixels for an image without calibration): diameter of the smallest object, as a circle
    maxSize     : 12,           // ... of the largest. Best at most 3 times minSize, never more than 16 times
    className   : '',           // the class of what is found; '' = none
    kind        : 'annotation', // 'annotation' or 'detection'
    minScore    : 0,            // 0 to 1, higher: fewer and surer. 0 = the server decides
    minStability: 0,            // the same
    minAgreement: 0,            // the same
    model       : '',           // '' = the server's default
    tolerance   : 0             // microns by which outlines may be simplified; 0 = the server decides
]
def access = [                  // '' = as in the clicks palette, or as said last
    server      : '',           // host:port, or https://host:port
    tokenFile   : '',           // the file with your token; 'none' for no token
    certificates: ''            // the lab's certificates (PEM); 'none' for those that Java knows
]

// ---------------------------------------------------------------------------------------------------------------------

Arguments.read('WsiSamEverything', args, parameters, access)
Arguments.keep(access, Settings.user())

def imageData = getCurrentImageData()
if (imageData == null)
    throw new IllegalStateException('WsiSamEverything needs an open image.')
def gui = QuPathGUI.getInstance()
OpenProjects.announce(gui)
def onScreen = gui != null && gui.getAllViewers().any { it.getImageData().is(imageData) }     // false in 'Run for project'
if (!onScreen)
    SavedData.refuseUnreadable(getProject()?.getEntry(imageData), imageData)
def said = Propose.run(imageData, parameters, onScreen ? new TaskRunnerFX(gui).makeProgressMonitor() : null)
onScreen ? Notifications.show(said) : println("${imageData.getServer().getMetadata().getName()}: ${said}")
