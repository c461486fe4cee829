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
import io.wsisam.qupath.Delivery
import io.wsisam.qupath.Notes
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
def open = gui == null ? [] : gui.getAllViewers().collect { it.getImageData() }.findAll { it != null }
def current = getCurrentImageData()
def lines = []
Steps.withClient { client ->
    def sync = new StoreSync(client, options)
    def one = { imageData, name ->
        try {
            def done = sync.run(imageData)
            lines << "${name}: ${done.said}".toString()
            return done.changed
        } catch (Exception problem) {
            lines << "${name}: not synced: ${problem.getMessage()}".toString()
            return false
        }
    }
    if (project == null || gui == null || (current != null && !open.any { it.is(current) })) {
        if (current == null)
            throw new IllegalStateException('WsiSamSync needs an open project or image.')
        one(current, current.getServer().getMetadata().getName())
        return
    }
    project.getImageList().each { entry ->
        def shown = open.find { project.getEntry(it) == entry }
        def imageData
        try {
            imageData = shown ?: Delivery.read(entry)
        } catch (Exception unreadable) {
            lines << "${entry.getImageName()}: not synced: ${unreadable.getMessage()}".toString()
            return
        }
        if (one(imageData, entry.getImageName()))
            entry.saveImageData(imageData)
        if (shown == null)
            imageData.getServer().close()
    }
}
lines.each { println(it) }
if (gui != null && lines)
    Notes.show(lines.size() == 1 ? lines[0] : "WSI-SAM synced ${lines.size()} images; the log says what was done.\n${lines.take(5).join('\n')}")
