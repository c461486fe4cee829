// Drives WsiSamClicks.groovy in QuPath's window, writes what it saw as JSON, and ends QuPath.
// Started with -Dqupath.startup.script, on the JavaFX thread; the drive itself runs on a thread of its own.
import javafx.application.Platform
import javafx.event.Event
import javafx.scene.Parent
import javafx.scene.control.Labeled
import javafx.scene.input.KeyCode
import javafx.scene.input.KeyEvent
import javafx.scene.input.MouseButton
import javafx.scene.input.MouseEvent
import qupath.fx.utils.FXUtils
import qupath.lib.gui.QuPathGUI
import qupath.lib.gui.prefs.PathPrefs
import qupath.lib.io.GsonTools

import java.awt.geom.Point2D

def qupath = QuPathGUI.getInstance()
def seen = [errors: []]
def appender = new ch.qos.logback.core.AppenderBase() {
    protected void append(event) {
        if (event.getLevel().toString() == 'ERROR')
            seen.errors << event.getFormattedMessage()
    }
}
appender.start()
org.slf4j.LoggerFactory.getLogger('ROOT').addAppender(appender)
PathPrefs.imageTypeSettingProperty().set(PathPrefs.ImageTypeSetting.NONE)

def fx = { Closure work -> FXUtils.callOnApplicationThread(work) }
def viewer = { qupath.getViewer() }
def mouse = { type, Point2D p, boolean down ->
    def view = viewer().getView()
    def scene = view.localToScene(p.getX(), p.getY())
    def screen = view.localToScreen(p.getX(), p.getY())
    Event.fireEvent(view, new MouseEvent(type, scene.getX(), scene.getY(), screen.getX(), screen.getY(), MouseButton.PRIMARY, 1,
            false, false, false, false, down, false, false, true, false, true, null))
}
def onScreen = { double x, double y -> viewer().imagePointToComponentPoint(new Point2D.Double(x, y), null, false) }
def click = { double x, double y ->
    fx {
        mouse(MouseEvent.MOUSE_PRESSED, onScreen(x, y), true)
        mouse(MouseEvent.MOUSE_RELEASED, onScreen(x, y), false)
    }
}
def drag = { double x0, double y0, double x1, double y1 ->
    fx {
        mouse(MouseEvent.MOUSE_PRESSED, onScreen(x0, y0), true)
        mouse(MouseEvent.MOUSE_DRAGGED, onScreen(x1, y1), true)
        mouse(MouseEvent.MOUSE_RELEASED, onScreen(x1, y1), false)
    }
}
def press = { KeyCode code -> fx { Event.fireEvent(viewer().getView(), new KeyEvent(KeyEvent.KEY_PRESSED, '', '', code, false, false, false, false)) } }
def palette = { qupath.getStage().getProperties().get('wsisam.palette') }
def texts = {
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
def says = { String part -> texts().any { it.contains(part) } }
def status = { texts().find { it.contains(' \u2013 ') } ?: '' }
def until = { String what, Closure<Boolean> done ->
    long end = System.currentTimeMillis() + 150_000
    while (!done()) {
        if (System.currentTimeMillis() > end)
            throw new IllegalStateException("waited in vain for ${what}; the palette says ${texts()}")
        sleep(50)
    }
}
def annotations = { fx { viewer().getHierarchy().getAnnotationObjects().toList() } }
def plain = { it.collect { one -> [id: one.getID().toString(), name: one.getName(), wkt: one.getROI().getGeometry().toText(), metadata: new TreeMap(one.getMetadata())] } }
def run = { String text -> new GroovyShell(Thread.currentThread().getContextClassLoader()).evaluate(text) }
def ourThreads = { Thread.getAllStackTraces().keySet()*.getName().findAll { it.startsWith('wsisam') } }

def drive = {
    run("io.wsisam.script.Settings.user().server('${System.getProperty('drive.server')}')")
    until('the window') { fx { qupath.getStage().isShowing() } }
    fx { qupath.openImage(viewer(), System.getProperty('drive.image'), false, false) }
    until('the image') { viewer().getImageData() != null }
    run(new File(System.getProperty('drive.script')).text)
    until('the server') { palette() != null && says('Ready: ') }
    seen.open = [overlays: viewer().getCustomOverlayLayers().size(), tool: qupath.getToolManager().getSelectedTool().getName()]

    drag(134, 134, 266, 266)
    until('an outline') { says('score') }
    seen.beforeAccept = annotations().size()
    click(200, 200)
    until('the refined outline') { status().startsWith('box, 1 positive') && says('score') }
    seen.afterClick = status()
    press(KeyCode.BACK_SPACE)
    seen.afterUndo = status()
    press(KeyCode.ENTER)
    until('the annotation') { annotations().size() == 1 && says('Click on an object') }
    seen.accepted = plain(annotations())
    def step = viewer().getImageData().getHistoryWorkflow().getSteps().findAll { it.getName() == 'WSI-SAM outline' }[-1]
    seen.stepTypes = (step.getParameterMap().collectMany { k, v -> [k, v] } + [step.getName(), step.getScript()])*.getClass()*.getName().unique()
    seen.stepScript = step.getScript()

    fx { qupath.getUndoRedoManager().undoOnce() }
    seen.afterQuPathUndo = annotations().size()
    fx { qupath.getUndoRedoManager().redoOnce() }
    seen.afterQuPathRedo = annotations().size()
    def again = "import static qupath.lib.gui.scripting.QPEx.*\n" + step.getScript()
    run(again)
    seen.afterStepAgain = annotations().size()
    fx { viewer().getHierarchy().clearAll() }
    run(again)
    seen.repeated = plain(annotations())

    drag(504, 154, 696, 346)
    press(KeyCode.ESCAPE)
    sleep(500)
    seen.afterEscape = annotations().size()

    fx { palette().close() }
    until('the threads to end') { ourThreads().isEmpty() }
    def before = annotations().size()
    click(200, 200)
    sleep(500)
    seen.closed = [overlays: viewer().getCustomOverlayLayers().size(), tool: qupath.getToolManager().getSelectedTool().getName(),
                   threads: ourThreads(), clickAdds: annotations().size() - before]
}

Thread.startDaemon('drive') {
    Thread.currentThread().setContextClassLoader(qupath.getClass().getClassLoader())
    try {
        try {
            Thread.currentThread().setContextClassLoader(QuPathGUI.getExtensionCatalogManager().getExtensionClassLoader())
        } catch (MissingMethodException olderThan06) {
            Thread.currentThread().setContextClassLoader(QuPathGUI.getExtensionClassLoader())
        }
        drive()
    } catch (Throwable mistake) {
        seen.mistake = mistake.toString()
    }
    def file = new File(System.getProperty('drive.result'))
    def part = new File(file.getPath() + '.part')
    part.text = GsonTools.getInstance().toJson(seen)
    part.renameTo(file)
    Runtime.getRuntime().halt(0)
}
