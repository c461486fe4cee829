package io.wsisam.qupath

import io.wsisam.client.connection.WsiSamException
import io.wsisam.script.LikeChoice
import io.wsisam.script.WorkflowStep
import javafx.application.Platform
import javafx.beans.value.ChangeListener
import javafx.event.EventHandler
import javafx.geometry.Insets
import javafx.scene.Scene
import javafx.scene.control.Button
import javafx.scene.control.Label
import javafx.scene.control.ProgressBar
import javafx.scene.control.Slider
import javafx.scene.input.KeyCombination
import javafx.scene.input.KeyEvent
import javafx.scene.input.MouseButton
import javafx.scene.input.MouseEvent
import javafx.scene.layout.HBox
import javafx.scene.layout.VBox
import javafx.stage.Stage
import qupath.lib.gui.viewer.QuPathViewer
import qupath.lib.images.ImageData
import qupath.lib.regions.ImagePlane
import qupath.lib.roi.ROIs
import qupath.lib.roi.interfaces.ROI

import java.util.concurrent.ExecutorService
import java.util.concurrent.Executors
import java.util.concurrent.ThreadFactory

/** The small window about proposals: how sure they must be, take them, ask again. All its methods run on the JavaFX thread. */
class LikeWindow {
    private static final String OPEN = 'wsisam.like'
    private static final double WIDTH = 400

    private final gui
    private final Map parameters
    private final Map<String, List<String>> keys
    private final QuPathViewer viewer
    private final ImageData imageData
    private final LikeOverlay overlay
    private final Stage stage = new Stage()
    private final Label said = new Label()
    private final Slider slider = new Slider(LikeChoice.LEAST_ASKED, 1, 0.3)
    private final ProgressBar bar = new ProgressBar(0)
    private final Button takeButton, againButton
    private final EventHandler<KeyEvent> keyFilter = { KeyEvent e -> key(e) } as EventHandler<KeyEvent>
    private final EventHandler<MouseEvent> mouseFilter = { MouseEvent e -> mouse(e) } as EventHandler<MouseEvent>
    private final ChangeListener imageListener = { value, before, now -> stage.close() } as ChangeListener
    private final ExecutorService work = Executors.newSingleThreadExecutor({ Runnable run ->
        def thread = new Thread(run, 'wsisam-like')
        thread.setDaemon(true)
        thread
    } as ThreadFactory)

    private LikeRounds rounds           // belongs to the work thread
    private volatile LikeSearch search
    private volatile boolean closed
    private LikeChoice choice
    private int taken

    static void open(gui, Map parameters, Map keys) {
        (gui.getStage().getProperties().get(OPEN) as Stage)?.close()
        if (gui.getViewer().getImageData() == null)
            Notifications.show('Open an image first.')
        else
            new LikeWindow(gui, parameters, keys).show()
    }

    private LikeWindow(gui, Map parameters, Map keys) {
        this.gui = gui
        this.parameters = Like.defaults() + parameters
        this.keys = keys
        viewer = gui.getViewer()
        imageData = viewer.getImageData()
        overlay = new LikeOverlay(viewer, imageData)
        takeButton = button('Take all shown', keys.TAKE) { takeShown() }
        againButton = button('Again', keys.AGAIN) { again() }
    }

    private void show() {
        said.setId('wsisam-like-said')
        said.setWrapText(true)
        said.setMinHeight(54)
        slider.setId('wsisam-like-slider')
        slider.setFocusTraversable(false)
        slider.valueProperty().addListener({ value, before, now ->
            choice?.least(now as double)
            look()
        } as ChangeListener)
        bar.setMaxWidth(Double.MAX_VALUE)
        def pane = new VBox(8, said, new HBox(6, new Label('All'), slider, new Label('only the surest')), bar, new HBox(4, takeButton, againButton))
        HBox.setHgrow(slider, javafx.scene.layout.Priority.ALWAYS)
        pane.setPadding(new Insets(10))
        pane.setMinWidth(WIDTH)
        pane.setMaxWidth(WIDTH)
        def scene = new Scene(pane)
        scene.addEventFilter(KeyEvent.KEY_PRESSED, keyFilter)
        scene.getStylesheets().setAll(gui.getStage().getScene().getStylesheets())
        viewer.getView().addEventFilter(KeyEvent.KEY_PRESSED, keyFilter)
        viewer.getView().addEventFilter(MouseEvent.ANY, mouseFilter)
        viewer.imageDataProperty().addListener(imageListener)
        viewer.getCustomOverlayLayers().add(overlay)
        gui.getStage().getProperties().put(OPEN, stage)
        stage.setOnHidden { close() }
        stage.initOwner(gui.getStage())
        stage.setTitle('WSI-SAM: find more like this')
        stage.setScene(scene)
        stage.setResizable(false)
        stage.show()
        stage.setX(gui.getStage().getX() + 8)
        stage.setY(gui.getStage().getY() + gui.getStage().getHeight() - stage.getHeight() - 40)
        pane.requestFocus()
        begin()
    }

    private void close() {
        closed = true
        viewer.getView().removeEventFilter(KeyEvent.KEY_PRESSED, keyFilter)
        viewer.getView().removeEventFilter(MouseEvent.ANY, mouseFilter)
        viewer.imageDataProperty().removeListener(imageListener)
        viewer.getCustomOverlayLayers().remove(overlay)
        gui.getStage().getProperties().remove(OPEN)
        search?.cancel()
        work.submit { rounds?.close() }
        work.shutdown()
    }

    private Button button(String text, List<String> named, Closure todo) {
        def made = new Button("${text} (${named[0]})".toString())
        made.setFocusTraversable(false)
        made.setDisable(true)
        made.setOnAction { todo() }
        made
    }

    private void key(KeyEvent e) {
        boolean ofTheClickTool = gui.getToolManager().getSelectedTool()?.getName() == 'WSI-SAM' && !e.getSource().is(stage.getScene())
        def is = { List<String> named -> named.any { KeyCombination.valueOf(it).match(e) } }
        if (ofTheClickTool)
            return
        if (is(keys.TAKE) && !takeButton.isDisabled())
            takeShown()
        else if (is(keys.AGAIN) && !againButton.isDisabled())
            again()
        else if (is(keys.SURER) || is(keys.LESS_SURE))
            slider.setValue(slider.getValue() + (is(keys.SURER) ? 0.05 : -0.05))
        else
            return
        e.consume()
    }

    /** A click on a proposal rejects it, or takes that back; the active tool does not hear of it. Dragging stays the tool's. */
    private void mouse(MouseEvent e) {
        if (choice == null || e.getButton() != MouseButton.PRIMARY || !e.isStillSincePress())
            return
        boolean ofTheClickTool = gui.getToolManager().getSelectedTool()?.getName() == 'WSI-SAM'
        boolean click = e.getEventType() == MouseEvent.MOUSE_CLICKED
        if (!click && !(ofTheClickTool && e.getEventType() in [MouseEvent.MOUSE_PRESSED, MouseEvent.MOUSE_RELEASED]))
            return
        def at = viewer.componentPointToImagePoint(e.getX(), e.getY(), null, false)
        def proposal = overlay.at(at.getX(), at.getY())
        if (proposal == null)
            return
        e.consume()
        if (click) {
            choice.toggle(proposal)
            look()
        }
    }

    /** What the first round is about, as everything is now. */
    private void begin() {
        def region = region()
        def project = gui.getProject()
        round { rounds = new LikeRounds(imageData, parameters, region, project) }
    }

    /** The region that is selected beside the exemplars, or what the viewer shows. */
    private ROI region() {
        def selected = AnnotationSelection.of(imageData, [which: 'selected']).findAll { it.getROI()?.isArea() }
        def regions = LikeExemplars.regions(selected)
        if (regions)
            return regions[0].getROI()
        def seen = Images.viewport(viewer)
        def server = imageData.getServer()
        double x = Math.max(seen.x0(), 0), y = Math.max(seen.y0(), 0)
        ROIs.createRectangleROI(x, y, Math.min(seen.x1(), server.getWidth()) - x, Math.min(seen.y1(), server.getHeight()) - y,
                ImagePlane.getPlane(viewer.getZPosition(), viewer.getTPosition()))
    }

    /** Searches, after something that the work thread does first. */
    private void round(Closure before) {
        choice = null
        overlay.show(null)
        said.setText('Looking...')
        [takeButton, againButton, slider].each { it.setDisable(true) }
        work.submit {
            try {
                before()
                if (rounds.count() == 0)
                    later { said.setText('Select annotations that show what you want, or accept some first. Then choose this again.') }
                else {
                    search = new LikeSearch()
                    if (closed)
                        return
                    def now = search
                    def found = rounds.search(now) { later { bar.setProgress(now.done / (double) Math.max(now.total, 1)) } }
                    later { answered(found) }
                }
            } catch (WsiSamException | IllegalArgumentException | IOException wrong) {
                later {
                    said.setText(wrong.getMessage())
                    bar.setProgress(0)
                    againButton.setDisable(false)
                }
            } catch (Throwable mistake) {
                Notifications.logDefect(mistake)
                later { said.setText("A mistake in the script: ${mistake.getMessage()}".toString()) }
            }
        }
    }

    private void answered(LikeChoice found) {
        if (found == null)
            return
        choice = found
        [takeButton, againButton, slider].each { it.setDisable(false) }
        bar.setProgress(1)
        slider.setValue(choice.least())
        look()
    }

    private void look() {
        if (choice == null)
            return
        overlay.show(choice)
        int shown = choice.taken().size(), notMeant = choice.rejected().size()
        def expected = choice.expectedPrecision()
        def words = [shown == 0 ? 'Nothing that is sure enough.' : "${Propose.objects(shown)} shown${expected.isPresent() ? ", about ${Math.round(100 * expected.getAsDouble())} % of that kind" : ''}."]
        if (notMeant > 0)
            words << "${notMeant} rejected."
        if (taken > 0)
            words << "${taken} taken so far."
        words << 'Click one to reject it.'
        said.setText(words.join(' '))
    }

    private void takeShown() {
        def chosen = choice.taken()
        def notMeant = choice.rejected()
        choice = null
        overlay.show(null)
        takeButton.setDisable(true)
        taken += chosen.size()
        work.submit {
            try {
                def made = chosen.collect { LikeSearch.create(it, rounds.region, parameters.kind.toString()) }
                later {
                    imageData.getHierarchy().addObjects(made)
                    said.setText("${Propose.objects(made.size())} taken. Again asks with what you accepted and rejected.".toString())
                }
                rounds.decided(made, notMeant)
                record(made)
            } catch (Throwable mistake) {
                Notifications.logDefect(mistake)
            }
        }
    }

    /** What is shown and was not taken says nothing: only what was accepted and rejected counts. */
    private void again() {
        def notMeant = choice?.rejected() ?: []
        round { rounds == null ? null : rounds.decided([], notMeant) }
    }

    private void record(List made) {
        def box = rounds.region
        def values = parameters + [like: 'ids', ids: made*.getID().take(100).join(','), which: "box:${box.getBoundsX()},${box.getBoundsY()},${box.getBoundsWidth()},${box.getBoundsHeight()}"]
        later { Steps.add(imageData, WorkflowStep.of('WSI-SAM find more like this', values, Like.STEP, ', getProject())\n')) }
    }

    private void later(Closure todo) {
        Platform.runLater {
            if (!closed)
                todo()
        }
    }
}
