package io.wsisam.qupath

import io.wsisam.script.AnnotationMetadata
import javafx.event.EventHandler
import javafx.geometry.Insets
import javafx.scene.Scene
import javafx.scene.control.Button
import javafx.scene.control.Label
import javafx.scene.control.TextInputControl
import javafx.scene.input.KeyCombination
import javafx.scene.input.KeyEvent
import javafx.scene.layout.HBox
import javafx.scene.layout.VBox
import javafx.stage.Stage
import qupath.lib.gui.viewer.QuPathViewer

/** The small window that steps through annotations. All its methods run on the JavaFX thread. */
class ReviewWindow {
    private static final String OPEN = 'wsisam.review'
    private static final double WIDTH = 380
    /** Of the viewer's side that an object fills. */
    private static final double SHARE = 1 / 3d

    private final gui
    private final Map<String, List<String>> keys
    private final QuPathViewer viewer
    private final imageData
    private final ReviewList list
    private final Stage stage = new Stage()
    private final Label what = new Label()
    private final Label left = new Label()
    private final HeldKey held = new HeldKey()
    private final EventHandler<KeyEvent> keyFilter = { KeyEvent e -> key(e) } as EventHandler<KeyEvent>

    static void open(gui, Map parameters, Map keys) {
        try {
            (gui.getStage().getProperties().get(OPEN) as Stage)?.close()
            new ReviewWindow(gui, parameters, keys).show()
        } catch (IllegalArgumentException wrong) {
            Notifications.show(wrong.getMessage())
        }
    }

    private ReviewWindow(gui, Map parameters, Map keys) {
        this.gui = gui
        this.keys = keys
        viewer = gui.getViewer()
        imageData = viewer.getImageData()
        list = new ReviewList(imageData, parameters)
    }

    private void show() {
        left.setId('wsisam-review-left')
        what.setWrapText(true)
        what.setMinHeight(36)
        def buttons = new HBox(4, button('Accept', keys.ACCEPT) { accept() }, button('Reject', keys.REJECT) { reject() },
                button('Previous', keys.PREVIOUS) { step(-1) }, button('Next', keys.NEXT) { step(1) })
        def pane = new VBox(8, left, what, buttons)
        pane.setPadding(new Insets(10))
        pane.setMinWidth(WIDTH)
        def scene = new Scene(pane)
        scene.addEventFilter(KeyEvent.KEY_PRESSED, keyFilter)
        scene.getStylesheets().setAll(gui.getStage().getScene().getStylesheets())
        viewer.getView().addEventFilter(KeyEvent.KEY_PRESSED, keyFilter)
        [scene, gui.getStage().getScene()].each { held.listenTo(it) }
        gui.getStage().getProperties().put(OPEN, stage)
        stage.setOnHidden {
            held.close()
            viewer.getView().removeEventFilter(KeyEvent.KEY_PRESSED, keyFilter)
            gui.getStage().getProperties().remove(OPEN)
        }
        stage.initOwner(gui.getStage())
        stage.setTitle('WSI-SAM: review')
        stage.setScene(scene)
        stage.setResizable(false)
        stage.show()
        stage.setX(gui.getStage().getX() + 8)
        stage.setY(gui.getStage().getY() + gui.getStage().getHeight() - stage.getHeight() - 40)
        pane.requestFocus()
        look()
    }

    private Button button(String text, List<String> named, Closure work) {
        def made = new Button("${text} (${named[0]})".toString())
        made.setFocusTraversable(false)
        made.setOnAction { work() }
        made
    }

    private void key(KeyEvent e) {
        if (e.getTarget() instanceof TextInputControl || gui.getToolManager().getSelectedTool()?.getName() == 'WSI-SAM')
            return
        def is = { List<String> named -> named.any { KeyCombination.valueOf(it).match(e) } }
        boolean repeat = held.isRepeat(e)
        def number = e.getCode().isDigitKey() && !e.isShortcutDown() && !e.isAltDown()
        if (is(keys.NEXT))
            step(1)
        else if (is(keys.PREVIOUS))
            step(-1)
        else if (!number && !['ACCEPT', 'REJECT', 'GO_ON'].any { is(keys[it]) })
            return
        else if (!repeat)       // a key that is held steps on, but judges one annotation only
            judge(e, is)
        e.consume()
    }

    private void judge(KeyEvent e, Closure<Boolean> is) {
        if (is(keys.ACCEPT))
            accept()
        else if (is(keys.REJECT))
            reject()
        else if (is(keys.GO_ON))
            goOn()
        else
            classify(e.getCode().getChar() as int)
    }

    private void step(int by) {
        list.step(by)
        look()
    }

    private void accept() {
        list.accept()
        look()
    }

    private void reject() {
        if (!list.reject())
            Notifications.show('The annotation is locked: it was not removed.')
        look()
    }

    private void classify(int number) {
        def named = gui.getAvailablePathClasses().findAll { it.getName() != null }
        if (number <= named.size()) {
            list.classify(number == 0 ? null : named[number - 1])
            look(false)
        }
    }

    /** The palette's own key, with this annotation selected. */
    private void goOn() {
        def one = list.current()
        if (one == null)
            return
        viewer.setSelectedObject(one)
        def takeUp = gui.getStage().getProperties().get(Palette.TAKE_UP) as Runnable
        takeUp == null ? Notifications.show('Open the click tool first (Q): then this key goes on with the annotation.') : takeUp.run()
    }

    /** Shows the current one, and of the slide that which it lies in. */
    private void look(boolean zoom = true) {
        if (!viewer.getImageData().is(imageData)) {
            stage.close()       // another image: its review is another one
            return
        }
        def one = list.current()
        int open = list.left()
        left.setText(one == null ? 'Nothing to review here.' : "${open} of ${list.size()} left".toString())
        what.setText(one == null ? '' : describe(one))
        if (one == null)
            return
        viewer.setSelectedObject(one)
        if (zoom) {
            def roi = one.getROI()
            double needed = Math.max(roi.getBoundsWidth() / viewer.getView().getWidth(), roi.getBoundsHeight() / viewer.getView().getHeight()) / SHARE
            viewer.setDownsampleFactor(Math.max(needed, 0.25d))
            viewer.setCenterPixelLocation(roi.getBoundsX() + roi.getBoundsWidth() / 2, roi.getBoundsY() + roi.getBoundsHeight() / 2)
        }
    }

    private static String describe(one) {
        def metadata = one.getMetadata()
        def score = metadata.get(AnnotationMetadata.SCORE)
        def reviewed = metadata.get(ReviewList.REVIEWER)
        [one.getName() ?: 'no name', one.getPathClass()?.toString() ?: 'no class', score ? "score ${score}" : null,
         reviewed ? "accepted by ${reviewed}, ${metadata.get(ReviewList.REVIEWED)?.take(10)}" : null, one.isLocked() ? 'locked' : null].findAll { it != null }.join(' \u2013 ')
    }
}
