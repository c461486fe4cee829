/*
 * WSI-SAM: sync annotations with the server's store, by the rules of `wsisam sync`.
 *
 * In the window: all images of the open project, or the open image if there is no project. With 'Run for project', and without a
 * window, each image by itself (-s saves it):
 *   QuPath script -p project.qpproj -s --args direction=both WsiSamSync.groovy
 *
 * What was added, changed or deleted on one side goes to the other. What both changed differently is a conflict: it is listed, and
 * changes nothing until it is settled with resolve=store or resolve=qupath.
 */
import io.wsisam.client.annotations.SyncOptions
import io.wsisam.qupath.AnnotationWriter
import io.wsisam.qupath.Notifications
import io.wsisam.qupath.OpenProjects
import io.wsisam.qupath.SavedData
import io.wsisam.qupath.Steps
import io.wsisam.qupath.StoreSync
import io.wsisam.script.Arguments
import io.wsisam.script.Settings
import qupath.lib.gui.QuPathGUI

// ---- What you may want to change ------------------------------------------------------------------------------------

def parameters = [
    direction: 'both',      // 'both', 'to-project' or 'to-server'
    resolve  : '',          // '' leaves conflicts; 'store' or 'qupath' settles all with that side's version
    dryRun   : false,       // true: say what would be done, and do nothing
    author   : "qupath:${System.getProperty('user.name')}".toString()
]
def access = [              // '' = as in the clicks palette, or as said last
    server      : '',       // host:port, or https://host:port
    tokenFile   : '',       // the file with your token; 'none' for no token
    certificates: ''        // the lab's certificates (PEM); 'none' for those that Java knows
]

// ---------------------------------------------------------------------------------------------------------------------

Arguments.read('WsiSamSync', args, parameters, access)
Arguments.keep(access, Settings.user())
def directions = ['both': SyncOptions.Direction.BOTH, 'to-project': SyncOptions.Direction.TO_IMAGE, 'to-server': SyncOptions.Direction.TO_STORE]
def sides = ['': null, 'store': SyncOptions.Side.STORE, 'qupath': SyncOptions.Side.IMAGE]
if (!directions.containsKey(parameters.direction) || !sides.containsKey(parameters.resolve))
    throw new IllegalArgumentException("direction is one of ${directions.keySet().join(', ')}; resolve is store, qupath or nothing.")

def project = getProject()
def options = new SyncOptions(parameters.author, project?.getName() ?: '', directions[parameters.direction], sides[parameters.resolve], parameters.dryRun)
def gui = QuPathGUI.getInstance()
OpenProjects.announce(gui)
def open = gui == null ? [] : gui.getAllViewers().collect { it.getImageData() }.findAll { it != null }
def current = getCurrentImageData()
def lines = []
def unreadable = null
try {
    Steps.withClient { client ->
        def sync = new StoreSync(client, options, project)
        /** Whether the image was changed. Each image stands alone: whatever is wrong with one, the others are synced. */
        def one = { String name, Closure<Boolean> work ->
            try {
                return work()
            } catch (InterruptedException stopped) {
                throw stopped
            } catch (Throwable problem) {
                def causes = [problem]
                while (causes.last().getCause() != null && causes.size() < 5)
                    causes << causes.last().getCause()
                lines << "${name}: not synced: ${causes.collect { it.getMessage() ?: it.toString() }.unique().join(': ')}".toString()
                return false
            }
        }
        def synced = { imageData, entry, String name ->
            def done = sync.run(imageData, entry)
            lines << "${name}: ${done.said}".toString()
            done.changed
        }
        if (project == null || gui == null || (current != null && !open.any { it.is(current) })) {
            if (current == null)
                throw new IllegalStateException('WsiSamSync needs an open project or image.')
            def entry = project?.getEntry(current)
            def name = current.getServerMetadata().getName()
            one(name) {
                unreadable = SavedData.problem(entry, current.isChanged() ? null : current, entry != null && sync.hadData(entry))
                if (unreadable)
                    throw new IOException(unreadable)
                synced(current, entry, name)
            }
            if (unreadable)
                SavedData.keep(entry)?.with { lines << "${name}: the file is kept as ${it}".toString() }
            return
        }
        project.getImageList().each { entry ->
            def shown = open.find { project.getEntry(it) == entry }
            def imageData = null
            try {
                one(entry.getImageName()) {
                    def problem = shown == null ? null : SavedData.problem(entry, null, sync.hadData(entry))
                    if (problem)
                        throw new IOException(problem)
                    imageData = shown ?: AnnotationWriter.read(entry, sync.hadData(entry))
                    if (synced(imageData, entry, entry.getImageName()))
                        entry.saveImageData(imageData)
                }
            } finally {
                if (shown == null)
                    one(entry.getImageName()) { imageData?.close() }
            }
        }
    }
} finally {
    lines.each { println(it) }
}
// Run for project and QuPath without a window save the image after this, unless the script fails: never over what cannot be read.
if (unreadable)
    throw new IllegalStateException("${unreadable}. Nothing was synced, and nothing must be saved.")
if (gui != null && lines)
    Notifications.show(lines.size() == 1 ? lines[0] : "WSI-SAM synced ${lines.size()} images; the log says what was done.\n${lines.take(5).join('\n')}")
