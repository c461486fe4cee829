// What all drives share; a drive is appended to it. Started with -Dqupath.startup.script on the JavaFX thread; the drive runs
// on a thread of its own, moves the real pointer and presses real buttons and keys, writes what it saw as JSON to
// -Ddrive.result, and ends QuPath: at once, or with -Ddrive.closed as a user would.
import javafx.embed.swing.SwingFXUtils
import javafx.scene.Parent
import javafx.scene.control.Labeled
import javafx.scene.input.KeyCode
import javafx.scene.input.MouseButton
import javafx.scene.robot.Robot
import javafx.stage.Screen
import qupath.fx.utils.FXUtils
import qupath.lib.gui.QuPathGUI
import qupath.lib.gui.prefs.PathPrefs
import qupath.lib.gui.viewer.tools.PathTools
import qupath.lib.io.GsonTools

import java.awt.geom.Point2D
import java.util.concurrent.CopyOnWriteArrayList
import java.util.prefs.Preferences
import javax.imageio.ImageIO

qupath = QuPathGUI.getInstance()
seen = [errors: new CopyOnWriteArrayList(), notes: new CopyOnWriteArrayList()]
def appender = new ch.qos.logback.core.AppenderBase() {
    protected void append(event) {
        if (event.getLevel().toString() == 'ERROR')
            seen.errors << event.getFormattedMessage() + (event.getThrowableProxy() == null ? '' : ': ' + event.getThrowableProxy().getMessage())
        if (event.getLoggerName() == 'WSI-SAM')
            seen.notes << event.getFormattedMessage()
    }
}
appender.start()
org.slf4j.LoggerFactory.getLogger('ROOT').addAppender(appender)
PathPrefs.imageTypeSettingProperty().set(PathPrefs.ImageTypeSetting.NONE)

fx = { Closure work -> FXUtils.callOnApplicationThread(work) }
/** Until what was pressed or moved has arrived: it takes its way through the window system. */
settle = {
    sleep(100)
    fx { }
}
robot = new Robot()
viewer = { qupath.getViewer() }
onScreen = { double x, double y ->
    def view = viewer().getView()
    def p = viewer().imagePointToComponentPoint(new Point2D.Double(x, y), null, false)
    view.localToScreen(p.getX(), p.getY())
}
/** Moves the pointer to a place of the image. */
move = { double x, double y ->
    fx { robot.mouseMove(onScreen(x, y)) }
    settle()
}
holding = { KeyCode key, Closure work ->
    if (key != null)
        fx { robot.keyPress(key) }
    settle()
    try {
        work()
    } finally {
        if (key != null)
            fx { robot.keyRelease(key) }
        settle()
    }
}
click = { double x, double y, KeyCode key = null ->
    sleep(600)                              // else it is one half of a double click
    move(x, y)
    holding(key) {
        fx { robot.mousePress(MouseButton.PRIMARY) }
        settle()
        fx { robot.mouseRelease(MouseButton.PRIMARY) }
        settle()
    }
}
drag = { double x0, double y0, double x1, double y1, KeyCode key = null ->
    sleep(600)
    move(x0, y0)
    holding(key) {
        fx { robot.mousePress(MouseButton.PRIMARY) }
        settle()
        (1..5).each { move(x0 + (x1 - x0) * it / 5, y0 + (y1 - y0) * it / 5) }
        fx { robot.mouseRelease(MouseButton.PRIMARY) }
        settle()
    }
}
press = { KeyCode code, KeyCode key = null ->
    holding(key) {
        fx { robot.keyPress(code) }
        settle()
        fx { robot.keyRelease(code) }
        settle()
    }
}
palette = { qupath.getStage().getProperties().get('wsisam.palette') }
texts = {
    def found = []
    def walk
    walk = { node ->
        if (node instanceof Labeled && node.getText())
            found << node.getText()
        if (node instanceof Parent)
            node.getChildrenUnmodifiable().each { walk(it) }
    }
    fx { palette() == null ? null : walk(palette().getScene().getRoot()) }
    found
}
says = { String part -> texts().any { it.contains(part) } }
status = { texts().find { it.contains(' \u2013 ') } ?: '' }
until = { String what, Closure<Boolean> done ->
    long end = System.currentTimeMillis() + 150_000
    while (!done()) {
        if (System.currentTimeMillis() > end)
            throw new IllegalStateException("waited in vain for ${what}; the palette says ${texts()}; notes ${seen.notes}; errors ${seen.errors}")
        sleep(50)
    }
}
annotations = { fx { viewer().getHierarchy().getAnnotationObjects().toList() } }
plain = { it.collect { one ->
    [id: one.getID().toString(), name: one.getName(), className: one.getPathClass()?.toString(), wkt: one.getROI().getGeometry().toText(),
     z: one.getROI().getZ(), metadata: new TreeMap(one.getMetadata())]
} }
ourThreads = { Thread.getAllStackTraces().keySet()*.getName().findAll { it.startsWith('wsisam') } }
run = { String text -> new GroovyShell(Thread.currentThread().getContextClassLoader()).evaluate(text) }
server = { String address -> run("io.wsisam.script.Settings.user().server('${address}')") }
/** Shows a file, and all of it. */
open = { String file ->
    fx {
        viewer().getImageData()?.setChanged(false)
        qupath.openImage(viewer(), file, false, false)
    }
    until('the image') { viewer().getImageData() != null && viewer().getServer().getURIs().any { it.toString().endsWith(new File(file).getName()) } }
    sleep(500)
}
openPalette = {
    run(new File(System.getProperty('drive.script')).text)
    until('the palette') { palette() != null }
    fx { palette().setX(0d); palette().setY(0d) }      // over the list of images, not over the image
}
/** A picture of the screen, for people, where -Ddrive.pictures names a folder. */
picture = { String name ->
    def folder = System.getProperty('drive.pictures')
    if (folder) {
        sleep(300)
        def shot = fx { robot.getScreenCapture(null, Screen.getPrimary().getBounds()) }
        ImageIO.write(SwingFXUtils.fromFXImage(shot, null), 'png', new File(folder, name + '.png'))
    }
}

go = { Closure drive ->
    Thread.startDaemon('drive') {
        try {
            try {
                Thread.currentThread().setContextClassLoader(QuPathGUI.getExtensionCatalogManager().getExtensionClassLoader())
            } catch (MissingMethodException olderThan06) {
                Thread.currentThread().setContextClassLoader(Class.forName('qupath.lib.gui.ExtensionClassLoader').getInstance())
            }
            until('the window') { fx { qupath.getStage().isShowing() } }
            drive()
        } catch (Throwable mistake) {
            seen.mistake = mistake.toString()
            picture('mistake')
        }
        def file = new File(System.getProperty('drive.result'))
        def part = new File(file.getPath() + '.part')
        part.text = GsonTools.getInstance().toJson(seen)
        part.renameTo(file)
        Preferences.userRoot().flush()      // halted, Java writes nothing down any more
        System.getProperty('drive.closed') ? Runtime.getRuntime().exit(0) : Runtime.getRuntime().halt(0)     // as a crash would
    }
}
