package io.wsisam.qupath

import io.wsisam.script.Settings
import javafx.event.EventHandler
import javafx.scene.Scene
import javafx.scene.input.KeyEvent
import javafx.stage.Stage
import qupath.lib.gui.QuPathGUI

/** The small window beside the viewer: puts its parts together, and takes everything off QuPath again. On the JavaFX thread. */
class Palette {
    private static final String OPEN = 'wsisam.palette'
    private static final String SELECT = 'wsisam.select'
    /** A Runnable among the properties of QuPath's window: the selected annotation is gone on with. */
    static final String TAKE_UP = 'wsisam.take.up'

    private final QuPathGUI qupath
    private final Closure naming
    private final Closure opposite
    private final Closure loops
    private final Closure steps
    private final Settings settings = Settings.user()
    private final Stage stage = new Stage()
    private final PalettePlace place = new PalettePlace(settings, stage)
    private final AnnotationController controller
    private final ClickTool tool
    private final ServerLine server
    private final PaletteControls controls
    private final PaletteKeys keys
    private final ViewerAttachments viewers
    private final PromptMouse mouse = new PromptMouse(meant())
    private final List<Closure> removals = []   // what takes everything off QuPath again

    /**
     * @param keys lists of keys, by what they do
     * @param naming a name of a class name and a number
     * @param opposite whether a mouse event means the opposite of what the palette says
     * @param loops whether a drag that begins with this event is a loop about the object, in place of a box
     * @param steps whether the wheel steps through sizes, as the keys do
     */
    static void open(qupath, Map keys, Closure naming, Closure opposite, Closure loops = { e -> e.isShiftDown() }, Closure steps = { e -> e.isAltDown() }) {
        def already = qupath.getStage().getProperties().get(OPEN)
        if (already instanceof Stage) {
            (already.getProperties().get(SELECT) as Runnable)?.run()
            return
        }
        new Palette(qupath, keys, naming, [opposite: opposite, loops: loops, steps: steps]).show()
    }

    private Palette(qupath, Map keys, Closure naming, Map<String, Closure> mouse) {
        this.qupath = qupath
        this.naming = naming
        opposite = mouse.opposite
        loops = mouse.loops
        steps = mouse.steps
        controller = new AnnotationController(qupath, settings, { boolean repaint -> Guard.run { refresh(repaint) } })
        tool = new ClickTool(qupath, { e -> Guard.run { mouseEvent(e) } }, { boolean on -> switched(on) })
        server = new ServerLine(qupath, settings, controller.link, stage)
        def actions = whatIsDone()
        controls = new PaletteControls(qupath, settings, keys, controller, server, actions)
        this.keys = new PaletteKeys(qupath, keys, tool, actions, { activePlane()?.current != null })
        viewers = new ViewerAttachments(qupath, controller, [
            key: { e -> this.keys.pressed(e) }, image: { v, old -> changedImage(v, old) }, view: { v -> moved(v) },
            plane: { refresh() }, selected: { refresh(false) }, steps: { v, e -> tool.isOn() && controller.isDrawing(v) && steps(e) },
            size: { v, up -> controller.resize(v, up) }, closed: { v -> controller.left(v.getImageData()) }, opened: { v -> tool.showCursor(v) }])
    }

    private Map<String, Closure> whatIsDone() {
        [TOOL          : { switchTool() },
         TOOL_ON       : { boolean on -> tool.select(on); controls.showTool(tool.isOn()) },
         ACCEPT        : { controller.accept(activeViewer(), controls.className.current(), naming) },
         REJECT        : { controller.reject(activeViewer()) },
         UNDO          : { controller.undo(activeViewer()) },
         REDO          : { controller.redo(activeViewer()) },
         REFINE        : { controller.refine(activeViewer()) },
         SMALLER       : { controller.resize(activeViewer(), false) },
         LARGER        : { controller.resize(activeViewer(), true) },
         NEXT_CLASS    : { controls.className.next() },
         PREVIOUS_CLASS: { controls.className.previous() },
         GO_ON         : { takeUp(activeViewer()?.getSelectedObject()) },
         NUMBER        : { int number -> controls.className.number(number) }]
    }

    // -- Putting everything up, and taking it off again ----------------------------------------------------------------

    private void show() {
        def scene = new Scene(controls.pane)
        scene.addEventFilter(KeyEvent.KEY_PRESSED, { KeyEvent e -> Guard.run { keys.pressed(e, true) } } as EventHandler<KeyEvent>)
        scene.addEventFilter(KeyEvent.ANY, { KeyEvent e -> Guard.run { keys.space(e) } } as EventHandler<KeyEvent>)
        scene.getStylesheets().setAll(qupath.getStage().getScene().getStylesheets())
        stage.initOwner(qupath.getStage())
        stage.setTitle(PaletteTexts.of('title'))
        stage.setScene(scene)
        stage.setResizable(false)

        def properties = qupath.getStage().getProperties()
        properties.put(OPEN, stage)
        properties.put(ServerWindow.CHANGED, { serverChanged() } as Runnable)
        stage.getProperties().put(SELECT, { Guard.run { switchTool() } } as Runnable)
        properties.put(TAKE_UP, { Guard.run { takeUpSelected() } } as Runnable)
        removals << { [OPEN, ServerWindow.CHANGED, TAKE_UP].each { properties.remove(it) } }

        viewers.attachAll()
        removals << { viewers.detachAll() }
        tool.install()
        removals << { tool.remove() }
        hideLabels()
        removals << { controls.className.close() }
        stage.setOnHidden { close() }
        stage.show()
        place.find(qupath.getStage())
        controls.pane.requestFocus()            // not the server's field: keys are for drawing
        tool.select(true)
        activeViewer()?.getView()?.requestFocus()
        controller.link.connect()
        controller.planeOf(activeViewer())
        refresh()
    }

    private void close() {
        place.keep()
        removals.reverse().each { it() }
        removals.clear()
        controller.close()
    }

    /** A name in the image is larger than a nucleus. QuPath's own key (N) shows them; what it was is restored at the end. */
    private void hideLabels() {
        def options = qupath.getOverlayOptions()
        if (!options.getShowNames())
            return
        options.setShowNames(false)
        removals << { if (!options.getShowNames()) options.setShowNames(true) }
    }

    /** Somebody has changed the settings outside the palette. */
    private void serverChanged() {
        server.fill()
        controller.link.connect()
    }

    // -- The tool, and what the viewers show ---------------------------------------------------------------------------

    /** The click tool on, or off again. The keyboard goes to the image: the menu's key is QuPath's window's. */
    private void switchTool() {
        tool.select(!tool.isOn())
        stage.toFront()
        qupath.getStage().requestFocus()
        activeViewer()?.getView()?.requestFocus()
    }

    private void switched(boolean on) {
        controls.showTool(on)
        if (on)
            Guard.run { controller.planeOf(activeViewer()) }
        Guard.run { refresh() }
    }

    private void moved(viewer) {
        controller.moved(viewer)
        if (viewer.is(activeViewer()))
            controls.showFiner(viewer, activePlane()?.current)
    }

    private void changedImage(viewer, old) {
        controller.left(old)
        if (tool.isOn() && viewer.is(activeViewer()))
            controller.planeOf(viewer)
        refresh()
    }

    private void refresh(boolean repaint = true) {
        if (repaint)
            viewers.repaint()
        controls.show(activeViewer(), activePlane(), tool.isOn())
    }

    private activeViewer() {
        qupath.getViewer()
    }

    private activePlane() {
        def viewer = activeViewer()
        viewer?.getImageData() == null ? null : controller.shownIn(viewer.getImageData(), viewer.getZPosition(), viewer.getTPosition()).find()
    }

    // -- Mouse ---------------------------------------------------------------------------------------------------------

    private void mouseEvent(e) {
        mouse.event(qupath.getAllViewers().find { it.getView().is(e.getSource()) }, e)
    }

    private PromptMouse.Listener meant() {
        [
            click      : { viewer, x, y, pressed ->
                if (controls.takesClicks())
                    controller.click(viewer, x, y, controls.isPositive() != opposite(pressed))
            },
            box        : { viewer, area -> controller.box(viewer, area) },
            loop       : { viewer, parts -> controller.loop(viewer, parts) },
            isLoop     : { pressed -> controls.drawsLoops() || loops(pressed) },
            dragging   : { viewer, shape ->
                viewers.overlay(viewer)?.dragged = shape
                viewer.repaint()
            },
            doubleClick: { viewer, x, y -> takeUp(controller.annotationAt(viewer, x, y), true) }
        ] as PromptMouse.Listener
    }

    private void takeUpSelected() {
        tool.select(true)
        takeUp(activeViewer()?.getSelectedObject())
    }

    /** Goes on with an annotation: its prompts or its shape become what is being drawn. */
    private void takeUp(annotation, boolean afterClick = false) {
        if (controller.takeUp(activeViewer(), annotation, afterClick))
            controls.className.choose(annotation.getPathClass()?.toString() ?: '')
    }
}
