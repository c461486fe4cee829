package io.wsisam.qupath

import io.wsisam.extension.local.LocalServer
import io.wsisam.extension.local.LocalServerException
import io.wsisam.extension.local.RunningServer
import io.wsisam.extension.local.SlideFolders
import io.wsisam.extension.local.StartStage
import io.wsisam.script.Settings
import javafx.animation.KeyFrame
import javafx.animation.Timeline
import javafx.application.Platform
import javafx.geometry.Insets
import javafx.geometry.Pos
import javafx.scene.Scene
import javafx.scene.control.Button
import javafx.scene.control.CheckBox
import javafx.scene.control.Label
import javafx.scene.control.TextArea
import javafx.scene.control.Tooltip
import javafx.scene.layout.HBox
import javafx.scene.layout.Region
import javafx.scene.layout.VBox
import javafx.stage.DirectoryChooser
import javafx.stage.Stage
import javafx.util.Duration
import qupath.lib.gui.UserDirectoryManager

import java.nio.file.InvalidPathException
import java.nio.file.Path

/** Starts a server on this computer: which slides it opens, how far it is, and until when it runs. All on the JavaFX thread. */
class LocalServerWindow {
    private static final String OPEN = 'wsisam.local.server'
    private static final double WIDTH = 520
    /** After so long, why it may take longer is said. */
    private static final int LONG_SECONDS = 45

    private final gui
    private final Settings settings = Settings.user()
    private final LocalServer server
    private final Stage stage = new Stage()
    private final TextArea folders = new TextArea()
    private final CheckBox stays = new CheckBox(PaletteTexts.of('local.stays'))
    private final Button start = new Button(PaletteTexts.of('local.start'))
    private final Button stop = new Button(PaletteTexts.of('local.stop'))
    private final Button add = new Button(PaletteTexts.of('local.add'))
    private final Label said = new Label()
    private final Timeline clock = new Timeline(new KeyFrame(Duration.seconds(1), { tick() }))
    private Thread starting
    private StartStage now
    private long since

    static void open(gui) {
        def already = gui.getStage().getProperties().get(OPEN)
        if (already instanceof Stage) {
            already.toFront()
            return
        }
        new LocalServerWindow(gui).show()
    }

    /** Of this QuPath; null where it has no user directory, and so nowhere to write. */
    static LocalServer server() {
        def directory = UserDirectoryManager.getInstance().getUserPath()
        directory == null ? null : new LocalServer(directory, Settings.user().&localServerStays)
    }

    private LocalServerWindow(gui) {
        this.gui = gui
        server = server()
    }

    private void show() {
        [folders: folders, start: start, stop: stop, said: said].each { name, node -> node.setId("wsisam-local-${name}") }
        def close = new Button(PaletteTexts.of('local.close'))
        close.setOnAction { stage.close() }
        def startable = server?.installation()?.isPresent() || server?.runningFolders()?.isPresent()
        def pane = startable ? starter(close) : new VBox(10, wrapped(new Label(PaletteTexts.of('local.none'))), close)
        pane.setPadding(new Insets(12))
        pane.setPrefWidth(WIDTH)
        def scene = new Scene(pane)
        scene.getStylesheets().setAll(gui.getStage().getScene().getStylesheets())
        gui.getStage().getProperties().put(OPEN, stage)
        stage.setOnHidden {
            gui.getStage().getProperties().remove(OPEN)
            callOff()
        }
        stage.initOwner(gui.getStage())
        stage.setTitle(PaletteTexts.of('local.title'))
        stage.setScene(scene)
        stage.show()
        if (server != null)
            refresh()
    }

    private VBox starter(Button close) {
        def about = wrapped(new Label(PaletteTexts.of('local.about', server.installation().map { it.version() }.orElse(''))))
        folders.setText(SlideFolders.of(images()).join('\n'))
        folders.setPrefRowCount(3)
        add.setOnAction {
            def chosen = new DirectoryChooser().showDialog(stage)
            if (chosen != null)
                folders.setText([folders.getText().strip(), chosen.getPath()].findAll().join('\n'))
        }
        stays.setSelected(settings.localServerStays())
        stays.setTooltip(new Tooltip(PaletteTexts.of('local.stays.help')))
        stays.setOnAction { settings.localServerStays(stays.isSelected()) }
        start.setDefaultButton(true)
        start.setOnAction { starting == null ? begin() : callOff() }
        stop.setOnAction { end() }
        wrapped(said).setMinHeight(54)
        said.setAlignment(Pos.TOP_LEFT)
        clock.setCycleCount(javafx.animation.Animation.INDEFINITE)
        def buttons = [start, stop, add, close]
        buttons.each { it.setMinWidth(Region.USE_PREF_SIZE) }       // a narrow window cuts their texts
        new VBox(10, about, folders, stays, new HBox(6, *buttons), said)
    }

    private static Label wrapped(Label label) {
        label.setWrapText(true)
        label
    }

    /** The files of the open project, or of the images that are on the screen. */
    private List<URI> images() {
        def shown = gui.getAllViewers().collectMany { it.getImageData()?.getServer()?.getURIs() ?: [] }
        def entries = gui.getProject()?.getImageList() ?: []
        shown + entries.collectMany { entry ->
            try {
                entry.getURIs()
            } catch (IOException | RuntimeException unreadable) {
                []
            }
        }
    }

    private void refresh() {
        def running = server.runningFolders()
        stop.setDisable(running.isEmpty() || starting != null)
        start.setText(PaletteTexts.of(starting != null ? 'local.cancel' : running.isPresent() ? 'local.use' : 'local.start'))
        boolean fixed = starting != null || running.isPresent()
        folders.setEditable(!fixed)
        add.setDisable(fixed)
        if (starting == null && running.isPresent()) {
            folders.setText(running.get().join('\n'))
            said.setText(PaletteTexts.of('local.runs'))
        }
    }

    private void begin() {
        List<Path> roots
        try {
            roots = folders.getText().readLines()*.strip().findAll().collect { Path.of(it) }
        } catch (InvalidPathException wrong) {
            said.setText(PaletteTexts.of('local.badFolder', wrong.getInput()))
            return
        }
        def missing = roots.find { !it.toFile().isDirectory() }
        if (missing != null && server.runningFolders().isEmpty()) {
            said.setText(PaletteTexts.of('local.noFolder', missing))
            return
        }
        since = System.nanoTime()
        now = StartStage.STARTING
        starting = Thread.startDaemon('wsisam-local-start') { startWith(roots) }
        clock.playFromStart()
        tick()
        refresh()
    }

    /** On its own thread. */
    private void startWith(List<Path> roots) {
        String text = PaletteTexts.of('local.calledOff')
        RunningServer running = null
        try {
            running = server.start(roots) { stage -> Platform.runLater { now = stage; tick() } }
        } catch (LocalServerException cannot) {
            text = cannot.getMessage()
        } catch (InterruptedException calledOff) {
            // said already
        } catch (Throwable mistake) {
            Notifications.logDefect(mistake)
            text = mistake.toString()
        }
        Platform.runLater {
            starting = null
            clock.stop()
            refresh()
            running == null ? said.setText(text) : connectTo(running)
        }
    }

    private void connectTo(RunningServer running) {
        settings.server(running.address())
        settings.tokenFile(running.tokenFile().toString())
        settings.certificates('')
        ServerWindow.changed(gui)
        def slides = running.folders() ? PaletteTexts.of('local.opens', running.folders().join(', ')) : PaletteTexts.of('local.opensNothing')
        Notifications.show(PaletteTexts.of(running.wasThere() ? 'local.found' : 'local.started', running.address(), slides))
        stage.close()
    }

    private void callOff() {
        starting?.interrupt()
    }

    private void end() {
        try {
            server.stop()
            said.setText(PaletteTexts.of('local.stopped'))
        } catch (IOException cannot) {
            said.setText(PaletteTexts.of('local.notStopped', cannot.getMessage()))
        }
        refresh()
        ServerWindow.changed(gui)
    }

    private void tick() {
        if (starting == null)
            return
        long seconds = (System.nanoTime() - since) / 1_000_000_000L
        def progress = PaletteTexts.of('local.progress', PaletteTexts.of("local.${now.name()}".toString()), seconds.toString())
        said.setText(seconds < LONG_SECONDS ? progress : "${progress} ${PaletteTexts.of('local.long')}".toString())
    }
}
