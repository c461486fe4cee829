package io.wsisam.qupath

import groovy.transform.CompileStatic
import io.wsisam.client.connection.WsiSamException
import io.wsisam.client.segmentation.SessionState
import io.wsisam.script.Settings
import javafx.beans.value.ChangeListener
import javafx.collections.ListChangeListener
import javafx.event.EventHandler
import javafx.geometry.Insets
import javafx.geometry.Pos
import javafx.scene.Cursor
import javafx.scene.Scene
import javafx.scene.control.Button
import javafx.scene.control.ComboBox
import javafx.scene.control.Label
import javafx.scene.control.Menu
import javafx.scene.control.MenuButton
import javafx.scene.control.MenuItem
import javafx.scene.control.Spinner
import javafx.scene.control.TextField
import javafx.scene.control.TextInputControl
import javafx.scene.control.ToggleButton
import javafx.scene.control.ToggleGroup
import javafx.scene.control.Tooltip
import javafx.scene.input.KeyCode
import javafx.scene.input.KeyCombination
import javafx.scene.input.KeyEvent
import javafx.scene.input.MouseEvent
import javafx.scene.layout.GridPane
import javafx.scene.layout.HBox
import javafx.scene.layout.Priority
import javafx.scene.layout.Region
import javafx.scene.layout.VBox
import javafx.scene.paint.Color
import javafx.scene.shape.Circle
import javafx.stage.FileChooser
import javafx.stage.Screen
import javafx.stage.Stage
import qupath.lib.gui.QuPathGUI
import qupath.lib.gui.viewer.QuPathViewer
import qupath.lib.gui.viewer.QuPathViewerListener
import qupath.lib.gui.viewer.tools.PathTool
import qupath.lib.gui.viewer.tools.PathTools

/** The small window beside the viewer. All its methods run on the JavaFX thread. */
class Palette {
    private static final String OPEN = 'wsisam.palette'
    private static final String SELECT = 'wsisam.select'
    /** A Runnable among the properties of QuPath's window: the selected annotation is gone on with. */
    static final String TAKE_UP = 'wsisam.take.up'
    private static final double WIDTH = 380
    private static final double MARGIN = 8

    private final QuPathGUI qupath
    private final Map<String, List<String>> keys
    private final Closure naming
    private final Closure opposite
    private final Settings settings = Settings.user()
    private final AnnotationController controller
    private final PathTool tool
    private final Stage stage = new Stage()
    private final Map<QuPathViewer, PreviewOverlay> overlays = [:]
    private final Map<QuPathViewer, Closure> detaching = [:]
    private final List<Closure> removals = []   // what takes everything off QuPath again
    private final PromptMouse mouse = new PromptMouse(meant())
    private boolean moved                       // by the user
    private boolean filling                     // while the palette itself sets the models' list

    private final Circle lamp = new Circle(5)
    private final Label state = new Label()
    private final Tooltip stateTip = new Tooltip()          // one for all texts: a refresh runs with each click, and a tooltip is a window
    private final Tooltip modelTip = new Tooltip()
    private final Button retry = new Button('Retry')
    private final StartOffer startOffer
    private final TextField server = new TextField()
    private final MenuButton access = new MenuButton('Access')
    private final ComboBox<String> model = new ComboBox<>()
    private final ClassBox className
    private final ToggleButton toolOn = new ToggleButton('Click tool')
    private final ToggleGroup kinds = new ToggleGroup()
    private final ToggleButton positive = kind('+ Positive', 'A click belongs to the object. Alt or Ctrl/Cmd: it does not.')
    private final ToggleButton negative = kind('\u2212 Negative', 'A click does not belong to the object. Alt or Ctrl/Cmd: it does.')
    private final ToggleButton box = kind('\u25ad Box', 'Only drags count: a box about the object.')
    private final Label detailUnit = new Label('\u00b5m')
    private final Spinner<Double> detail = new Spinner<>(0.0d, 50.0d, 0.0d, 0.25d)
    private final Button finer
    private final Label drawn = new Label()
    private final Button undo, reject, accept

    /**
     * @param keys lists of keys, by what they do
     * @param naming a name of a class name and a number
     * @param opposite whether a mouse event means the opposite of what the palette says
     */
    static void open(qupath, Map keys, Closure naming, Closure opposite) {
        def already = qupath.getStage().getProperties().get(OPEN)
        if (already instanceof Stage) {
            (already.getProperties().get(SELECT) as Runnable)?.run()
            return
        }
        new Palette(qupath, keys, naming, opposite).show()
    }

    private Palette(qupath, Map keys, Closure naming, Closure opposite) {
        this.qupath = qupath
        this.keys = keys
        this.naming = naming
        this.opposite = opposite
        startOffer = new StartOffer(qupath)
        controller = new AnnotationController(qupath, settings, { boolean repaint -> guarded { refresh(repaint) } })
        className = new ClassBox(qupath, settings, "Class of the next object. ${keys.NEXT_CLASS[0]}: next class; 1 to 9: that one; 0: none".toString())
        finer = action('Refine border', keys.REFINE) { controller.refine(activeViewer()) }
        undo = action('Undo', keys.UNDO) { controller.undo(activeViewer()) }
        reject = action('Reject', keys.REJECT) { controller.reject(activeViewer()) }
        accept = action('Accept', keys.ACCEPT) { acceptDraft() }
        tool = PathTools.createTool({ MouseEvent e -> guarded { mouseEvent(e) } } as EventHandler<MouseEvent>, 'WSI-SAM', new Label('W'))
    }

    // -- Putting everything up, and taking it off again ----------------------------------------------------------------

    private void show() {
        layOut()
        def properties = qupath.getStage().getProperties()
        properties.put(OPEN, stage)
        properties.put(ServerWindow.CHANGED, { serverChanged() } as Runnable)
        stage.getProperties().put(SELECT, { guarded { switchTool() } } as Runnable)
        properties.put(TAKE_UP, { guarded { takeUpSelected() } } as Runnable)
        removals << { [OPEN, ServerWindow.CHANGED, TAKE_UP].each { properties.remove(it) } }

        qupath.getAllViewers().each { attach(it) }
        def viewersListener = { change -> guarded { follow() } } as ListChangeListener
        qupath.getAllViewers().addListener(viewersListener)
        removals << { qupath.getAllViewers().removeListener(viewersListener) }

        def selected = qupath.getToolManager().selectedToolProperty()
        def before = selected.get()
        selected.addListener(toolListener)
        removals << {
            selected.removeListener(toolListener)
            deselect(before)
        }

        hideLabels()
        removals << { className.close() }
        stage.setOnHidden { close() }
        stage.show()
        place()
        accept.getParent().requestFocus()       // not the server's field: keys are for drawing
        def placed = { o, was, is -> moved = true } as ChangeListener
        [stage.xProperty(), stage.yProperty()].each { it.addListener(placed) }
        qupath.getToolManager().setSelectedTool(tool)
        activeViewer()?.getView()?.requestFocus()
        controller.connect()
        controller.planeOf(activeViewer())
        refresh()
    }

    /** The click tool on, or off again. The keyboard goes to the image: the menu's key is QuPath's window's. */
    private void switchTool() {
        qupath.getToolManager().setSelectedTool(isOn() ? PathTools.MOVE : tool)
        stage.toFront()
        qupath.getStage().requestFocus()
        activeViewer()?.getView()?.requestFocus()
    }

    private void close() {
        if (moved)
            settings.palettePlace(stage.getX(), stage.getY())
        removals.reverse().each { it() }
        removals.clear()
        overlays.keySet().toList().each { detach(it) }
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

    private final toolListener = { observable, was, is ->
        toolOn.setSelected(is.is(tool))
        qupath.getAllViewers().each { showCursor(it) }
        if (is.is(tool))
            guarded { controller.planeOf(activeViewer()) }
        guarded { refresh() }
    } as ChangeListener

    private void showCursor(viewer) {
        viewer.setCursor(isOn() ? Cursor.CROSSHAIR : Cursor.DEFAULT)        // QuPath itself shows the moving tool's hand
    }

    /** Leaves QuPath with another tool, also as the one that a middle click goes back to. */
    private void deselect(before) {
        def manager = qupath.getToolManager()
        if (!manager.getSelectedTool().is(tool) && !manager.getPreviousSelectedTool().is(tool))
            return
        def now = manager.getSelectedTool().is(tool) ? before : manager.getSelectedTool()
        def locked = !manager.isToolSwitchingEnabled()
        manager.setToolSwitchingEnabled(true)
        manager.setSelectedTool(PathTools.RECTANGLE)
        manager.setSelectedTool(PathTools.MOVE)             // "previous" is now the rectangle
        manager.setSelectedTool(now.is(tool) ? PathTools.MOVE : now)
        manager.setToolSwitchingEnabled(!locked)
    }

    /** Viewers were added or closed. */
    private void follow() {
        def all = qupath.getAllViewers().toList()
        all.findAll { !overlays.containsKey(it) }.each { attach(it) }
        overlays.keySet().findAll { !all.contains(it) }.each { detach(it) }
    }

    private void attach(viewer) {
        def overlay = new PreviewOverlay(viewer, controller)
        def keys = { KeyEvent e -> guarded { key(e) } } as EventHandler<KeyEvent>
        def listener = [
            imageDataChanged     : { v, old, now -> guarded { changedImage(v, old) } },
            visibleRegionChanged : { v, shape -> guarded { moved(v) } },
            selectedObjectChanged: { v, object -> },
            viewerClosed         : { v -> guarded { controller.left(v.getImageData()) } }
        ] as QuPathViewerListener
        viewer.getCustomOverlayLayers().add(overlay)
        viewer.getView().addEventFilter(KeyEvent.KEY_PRESSED, keys)
        viewer.addViewerListener(listener)
        showCursor(viewer)
        controller.viewers.add(viewer)
        def planeListener = { o, was, is -> guarded { refresh() } } as ChangeListener
        [viewer.zPositionProperty(), viewer.tPositionProperty()].each { it.addListener(planeListener) }
        overlays.put(viewer, overlay)
        detaching.put(viewer) {
            controller.viewers.remove(viewer)
            viewer.getCustomOverlayLayers().remove(overlay)
            viewer.getView().removeEventFilter(KeyEvent.KEY_PRESSED, keys)
            viewer.removeViewerListener(listener)
            viewer.setCursor(Cursor.DEFAULT)
            [viewer.zPositionProperty(), viewer.tPositionProperty()].each { it.removeListener(planeListener) }
            viewer.repaint()
        }
    }

    private void moved(viewer) {
        controller.moved(viewer)
        if (viewer.is(activeViewer()))
            showFiner(activeDraft())
    }

    private void changedImage(viewer, old) {
        controller.left(old)
        if (isOn() && viewer.is(activeViewer()))
            controller.planeOf(viewer)
        refresh()
    }

    /** A mistake in this script must not stop QuPath from what it was doing. */
    @CompileStatic
    private static void guarded(Closure work) {
        try {
            work()
        } catch (Throwable mistake) {
            Notifications.logDefect(mistake)
        }
    }

    private void detach(viewer) {
        overlays.remove(viewer)
        detaching.remove(viewer)?.call()
    }

    // -- Mouse and keys ------------------------------------------------------------------------------------------------

    /** QuPath calls it for all mouse events of the active viewer while our tool is selected, and not while space is down. */
    private void mouseEvent(MouseEvent e) {
        mouse.event(qupath.getAllViewers().find { it.getView().is(e.getSource()) }, e)
    }

    private PromptMouse.Listener meant() {
        [
            click      : { viewer, x, y, pressed ->
                if (!box.isSelected())
                    controller.click(viewer, x, y, negative.isSelected() == opposite(pressed))
            },
            box        : { viewer, area -> controller.box(viewer, area) },
            dragging   : { viewer, area ->
                overlays.get(viewer)?.dragged = area
                viewer.repaint()
            },
            doubleClick: { viewer, x, y -> takeUp(controller.annotationAt(viewer, x, y), true) }
        ] as PromptMouse.Listener
    }

    private void takeUpSelected() {
        qupath.getToolManager().setSelectedTool(tool)
        takeUp(activeViewer()?.getSelectedObject())
    }

    /** Goes on with an annotation: its prompts or its shape become what is being drawn. */
    private void takeUp(annotation, boolean afterClick = false) {
        if (controller.takeUp(activeViewer(), annotation, afterClick))
            className.choose(annotation.getPathClass()?.toString() ?: '')
    }

    /** Space moves the image also when the palette has the keyboard, instead of pressing one of its buttons. */
    private void space(KeyEvent e) {
        if (e.getTarget() instanceof TextInputControl || (e.getCode() != KeyCode.SPACE && e.getCharacter() != ' '))
            return
        if (e.getEventType() == KeyEvent.KEY_PRESSED) {
            qupath.getStage().requestFocus()        // which then hears that the key is released
            activeViewer()?.getView()?.requestFocus()
            activeViewer()?.setSpaceDown(true)
        }
        e.consume()
    }

    /** Enter and Backspace are ours also when nothing is drawn: once too often, they would rename or delete the selected object. */
    private void key(KeyEvent e, boolean inPalette = false) {
        if (inPalette && matches(keys.TOOL, e) && !(e.getTarget() instanceof TextInputControl)) {
            switchTool()
            e.consume()
            return
        }
        if (!isOn() || e.getTarget() instanceof TextInputControl)
            return
        def drawing = activeDraft() != null
        if (matches(keys.ACCEPT, e))
            acceptDraft()
        else if (matches(keys.REJECT, e) && drawing)
            controller.reject(activeViewer())
        else if (matches(keys.UNDO, e) && (drawing || !e.isShortcutDown()))
            controller.undo(activeViewer())
        else if (matches(keys.UNDO, e) && inPalette)
            qupath.getUndoRedoManager().undoOnce()          // the menu's keys work in QuPath's own window only
        else if (matches(keys.REDO, e) && drawing)
            controller.redo(activeViewer())
        else if (matches(keys.REDO, e) && inPalette)
            qupath.getUndoRedoManager().redoOnce()
        else if (matches(keys.REFINE, e))
            controller.refine(activeViewer())
        else if (matches(keys.SMALLER, e))
            controller.resize(activeViewer(), false)
        else if (matches(keys.LARGER, e))
            controller.resize(activeViewer(), true)
        else if (matches(keys.NEXT_CLASS, e))
            className.next()
        else if (matches(keys.PREVIOUS_CLASS, e))
            className.previous()
        else if (matches(keys.GO_ON, e))
            takeUp(activeViewer()?.getSelectedObject())
        else if (e.getCode().isDigitKey() && !e.isShortcutDown() && !e.isAltDown())
            className.number(e.getCode().getChar() as int)
        else
            return
        e.consume()
    }

    private static boolean matches(List<String> keys, KeyEvent e) {
        keys.any { KeyCombination.valueOf(it).match(e) }
    }

    private void acceptDraft() {
        controller.accept(activeViewer(), className.current(), naming)
    }

    private boolean isOn() {
        qupath.getToolManager().getSelectedTool().is(tool)
    }

    private activeViewer() {
        qupath.getViewer()
    }

    private activePlane() {
        def viewer = activeViewer()
        viewer?.getImageData() == null ? null : controller.shownIn(viewer.getImageData(), viewer.getZPosition(), viewer.getTPosition()).find()
    }

    private activeDraft() {
        activePlane()?.current
    }

    // -- What the palette shows ----------------------------------------------------------------------------------------

    private void refresh(boolean repaint = true) {
        if (repaint)
            overlays.keySet().each { it.repaint() }
        def plane = activePlane()
        def draft = plane?.current
        showState(plane)
        showModels()
        detailUnit.setText(plane == null || plane.imageData.getServer().getPixelCalibration().hasPixelSizeMicrons() ? '\u00b5m' : 'px')
        drawn.setText(StatusText.of(plane, draft, isOn(), keys))
        showFiner(draft)
        undo.setDisable(draft == null)
        reject.setDisable(draft == null)
        accept.setDisable(draft == null || !draft.isSendable())
    }

    private void showFiner(draft) {
        finer.setDisable(!controller.isRefinable(activeViewer(), draft))
    }

    private void showState(plane) {
        def (colour, text) = stateOf(plane)
        lamp.setFill(colour)
        state.setText(text)
        stateTip.setText(text)
        retry.setDisable(colour == Color.LIMEGREEN)
        startOffer.show(controller.unanswered)
    }

    private List stateOf(plane) {
        if (controller.trouble)
            return [Color.ORANGE, controller.trouble]
        if (!controller.reached)
            return [Color.GRAY, "Connecting to ${controller.address()}\u2026".toString()]
        if (plane == null)
            return [Color.LIMEGREEN, "Connected to ${controller.address()}".toString()]
        switch (plane.state) {
            case SessionState.READY: return [Color.LIMEGREEN, "Ready: ${plane.info?.model() ?: ''} at ${controller.address()}".toString()]
            case SessionState.FAILED: return [Color.RED, plane.trouble?.text() ?: 'This image cannot be worked on.']
            case SessionState.CLOSED: return [Color.GRAY, 'Closed']
            default: return [plane.trouble == null ? Color.GRAY : Color.ORANGE, plane.trouble?.text() ?: 'Opening the image on the server\u2026']
        }
    }

    private void showModels() {
        def names = controller.models*.name()
        if (model.getItems() != names) {
            filling = true
            model.getItems().setAll(names)
            filling = false
        }
        def current = settings.model() ?: controller.models.find { it.isDefault() }?.name()
        if (model.getValue() != current) {
            filling = true
            model.setValue(current)
            filling = false
        }
        modelTip.setText(controller.models.find { it.name() == current }?.description() ?: 'The model of the server that outlines.')
    }

    private void layOut() {
        server.setText(settings.server())
        server.setTooltip(new Tooltip('Host and port of the server. Enter connects.'))
        server.setOnAction { useServer() }
        access.setTooltip(new Tooltip('Your token, and the certificates of the lab, where the server wants them.'))
        access.setMinWidth(Region.USE_PREF_SIZE)
        fillAccess()
        retry.setOnAction { controller.retryNow() }
        model.setOnAction {
            if (!filling && model.getValue() != null) {
                settings.model(model.getValue())
                controller.useNewOptions()
            }
        }
        finer.setTooltip(new Tooltip('For an object larger than what the model sees at once: looks at its border again, as finely as the image\n' +
            'is shown. Zoom in for a finer one. Takes long: Esc stops it.'))
        [finer, detailUnit].each { it.setMinWidth(Region.USE_PREF_SIZE) }
        detail.setPrefWidth(110)
        detail.setEditable(true)
        detail.getValueFactory().setValue(settings.tolerance())
        detail.setTooltip(new Tooltip('How far the outline may be simplified. 0: the server decides.'))
        detail.valueProperty().addListener({ o, was, is ->
            settings.tolerance(is ?: 0d)
            controller.useNewOptions()
        } as ChangeListener)
        positive.setSelected(true)
        kinds.selectedToggleProperty().addListener({ o, was, is -> if (is == null) was.setSelected(true) } as ChangeListener)
        toolOn.setTooltip(new Tooltip('Clicks in the viewer are prompts while it is on.'))
        toolOn.setOnAction {
            qupath.getToolManager().setSelectedTool(toolOn.isSelected() ? tool : PathTools.MOVE)
            toolOn.setSelected(isOn())          // QuPath's tool may be locked
        }
        state.setWrapText(true)
        state.setTooltip(stateTip)
        model.setTooltip(modelTip)
        retry.setMinWidth(Region.USE_PREF_SIZE)
        drawn.setWrapText(true)
        state.setMinHeight(36)
        drawn.setMinHeight(36)

        def grid = new GridPane()
        grid.setHgap(6)
        grid.setVgap(6)
        [['Server', centred(new HBox(6, server, access))], ['Model', model], ['Class', className.box], ['Detail', centred(new HBox(6, detail, detailUnit, finer))]].eachWithIndex { row, i ->
            def name = new Label(row[0])
            name.setMinWidth(Region.USE_PREF_SIZE)
            grid.add(name, 0, i)
            grid.add(row[1], 1, i)
            GridPane.setHgrow(row[1], Priority.ALWAYS)
        }
        [server, model].each { it.setMaxWidth(Double.MAX_VALUE) }
        HBox.setHgrow(server, Priority.ALWAYS)
        HBox.setHgrow(state, Priority.ALWAYS)
        state.setMaxWidth(Double.MAX_VALUE)
        def pane = new VBox(8, centred(new HBox(6, lamp, state, retry)), startOffer.button, grid, inARow(toolOn, positive, negative, box), drawn, inARow(undo, reject, accept))
        pane.setPadding(new Insets(10))
        pane.setPrefWidth(WIDTH)

        def scene = new Scene(pane)
        scene.addEventFilter(KeyEvent.KEY_PRESSED, { KeyEvent e -> guarded { key(e, true) } } as EventHandler<KeyEvent>)
        scene.addEventFilter(KeyEvent.ANY, { KeyEvent e -> guarded { space(e) } } as EventHandler<KeyEvent>)
        scene.getStylesheets().setAll(qupath.getStage().getScene().getStylesheets())
        stage.initOwner(qupath.getStage())
        stage.setTitle('WSI-SAM')
        stage.setScene(scene)
        stage.setResizable(false)
    }

    /** Where the user has left it; else beside QuPath's window where the screen has room; else over the lists at its left, so that the image stays free. */
    private void place() {
        def last = settings.palettePlace()
        if (last != null && Screen.getScreensForRectangle(last[0], last[1], stage.getWidth(), MARGIN)) {
            stage.setX(last[0])
            stage.setY(last[1])
            return
        }
        def main = qupath.getStage()
        def right = main.getX() + main.getWidth()
        if (Screen.getPrimary().getVisualBounds().getMaxX() - right >= stage.getWidth()) {
            stage.setX(right)
            stage.setY(main.getY())
        } else {
            stage.setX(main.getX() + MARGIN)
            stage.setY(main.getY() + main.getHeight() - stage.getHeight() - 4 * MARGIN)     // above the lists' search fields
        }
    }

    private static HBox centred(HBox row) {
        row.setAlignment(Pos.CENTER_LEFT)
        row
    }

    private static HBox inARow(javafx.scene.control.ButtonBase... buttons) {
        buttons.each {
            HBox.setHgrow(it, Priority.ALWAYS)
            it.setMaxWidth(Double.MAX_VALUE)
        }
        new HBox(4, buttons)
    }

    private void useServer() {
        try {
            settings.server(server.getText())
            controller.connect()
        } catch (WsiSamException malformed) {
            state.setText(malformed.text())
        }
    }

    /** Somebody has changed the settings outside the palette. */
    private void serverChanged() {
        server.setText(settings.server())
        fillAccess()
        controller.connect()
    }

    private void fillAccess() {
        access.getItems().setAll(
            fileOf('Token', settings.tokenFile()) { settings.tokenFile(it) },
            fileOf('Certificates', settings.certificates()) { settings.certificates(it) })
    }

    /** A menu that names a file, or none, and connects anew. Only where it lies is kept. */
    private Menu fileOf(String what, String now, Closure keep) {
        def use = { String path ->
            keep(path)
            fillAccess()
            controller.connect()
        }
        def choose = new MenuItem('Choose a file\u2026')
        choose.setOnAction {
            def file = new FileChooser().showOpenDialog(stage)
            if (file != null)
                use(file.getPath())
        }
        def none = new MenuItem('None')
        none.setDisable(now.isEmpty())
        none.setOnAction { use('') }
        new Menu("${what}: ${now ? new File(now).getName() : 'none'}", null, choose, none)
    }

    private ToggleButton kind(String text, String help) {
        def button = new ToggleButton(text)
        button.setToggleGroup(kinds)
        button.setTooltip(new Tooltip(help))
        button
    }

    private static Button action(String text, List<String> keys, Closure what) {
        def button = new Button("${text} (${keys[0]})")
        button.setOnAction { what() }
        button.setFocusTraversable(false)
        button
    }
}
