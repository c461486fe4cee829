/*
 * WSI-SAM: outline annotations that are there already, each from its box or its points.
 *
 * Works in the window (select annotations first, or none for all), with 'Run for project', and without a window:
 *   QuPath script -p project.qpproj -s --args which=class:Tumor WsiSamAnnotate.groovy
 *
 * An annotation keeps its id, name and class and gets the outline that the model sees in it. Locked ones are left alone.
 */
import io.wsisam.qupath.Notes
import io.wsisam.qupath.Refine
import io.wsisam.script.Settings
import qupath.lib.gui.QuPathGUI
import qupath.lib.gui.TaskRunnerFX

// ---- What you may want to change ------------------------------------------------------------------------------------

def wishes = [
    which    : 'auto',      // 'selected', 'all', 'class:Tumor' ..., or 'auto': the selected ones if there are any, else all
    margin   : 0,           // microns by which an annotation's box is widened (pixels for an image without calibration)
    model    : '',          // '' = the server's default
    tolerance: 0            // microns by which the outline may be simplified; 0 = the server decides
]
def server = ''             // '' = the one that the clicks palette used last

// ---------------------------------------------------------------------------------------------------------------------

args?.each { String arg ->
    def (name, value) = arg.split('=', 2) as List
    if (name == 'server')
        server = value
    else if (value != null && wishes.containsKey(name))
        wishes[name] = name in ['margin', 'tolerance'] ? value as double : value
    else
        throw new IllegalArgumentException("WsiSamAnnotate does not know '${arg}'. It knows server and ${wishes.keySet().join(', ')}, each as name=value.")
}
if (server)
    Settings.user().server(server)

def imageData = getCurrentImageData()
if (imageData == null)
    throw new IllegalStateException('WsiSamAnnotate needs an open image.')
def gui = QuPathGUI.getInstance()
def onScreen = gui != null && gui.getAllViewers().any { it.getImageData().is(imageData) }     // false in 'Run for project'
def said = Refine.run(imageData, wishes, onScreen ? new TaskRunnerFX(gui).makeProgressMonitor() : null)
onScreen ? Notes.show(said) : println("${imageData.getServerMetadata().getName()}: ${said}")
