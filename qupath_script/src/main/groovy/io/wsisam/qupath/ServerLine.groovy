package io.wsisam.qupath

import io.wsisam.client.connection.WsiSamException
import io.wsisam.client.segmentation.SessionState
import io.wsisam.script.Settings
import javafx.geometry.Pos
import javafx.scene.control.Button
import javafx.scene.control.Label
import javafx.scene.control.Menu
import javafx.scene.control.MenuButton
import javafx.scene.control.MenuItem
import javafx.scene.control.TextField
import javafx.scene.control.Tooltip
import javafx.scene.layout.HBox
import javafx.scene.layout.Priority
import javafx.scene.layout.Region
import javafx.scene.paint.Color
import javafx.scene.shape.Circle
import javafx.stage.FileChooser
import javafx.stage.Window

/** Which server, with which token and certificates, and how it is: two lines of the palette. On the JavaFX thread. */
class ServerLine {
    /** The lamp, what is the matter, and Retry. */
    final HBox health
    /** Where no server answers: the button that starts one here. */
    final Button startHere
    /** The address, and Access. */
    final HBox address

    private final Settings settings
    private final ServerLink link
    private final Window window
    private final Circle lamp = new Circle(5)
    private final Label state = new Label()
    private final Tooltip tip = new Tooltip()       // one for all texts: a refresh runs with each click, and a tooltip is a window
    private final StartOffer startOffer
    private final Button retry = new Button(PaletteTexts.of('retry'))
    private final TextField server = new TextField()
    private final MenuButton access = new MenuButton(PaletteTexts.of('access'))

    ServerLine(qupath, Settings settings, ServerLink link, Window window) {
        startOffer = new StartOffer(qupath)
        startHere = startOffer.button
        this.settings = settings
        this.link = link
        this.window = window
        server.setTooltip(new Tooltip(PaletteTexts.of('server.help')))
        server.setOnAction { useAddress() }
        server.setMaxWidth(Double.MAX_VALUE)
        access.setTooltip(new Tooltip(PaletteTexts.of('access.help')))
        access.setMinWidth(Region.USE_PREF_SIZE)
        retry.setOnAction { link.retryNow() }
        retry.setMinWidth(Region.USE_PREF_SIZE)
        state.setWrapText(true)
        state.setTooltip(tip)
        state.setMinHeight(36)
        state.setMaxWidth(Double.MAX_VALUE)
        HBox.setHgrow(server, Priority.ALWAYS)
        HBox.setHgrow(state, Priority.ALWAYS)
        health = centred(lamp, state, retry)
        address = centred(server, access)
        fill()
    }

    private static HBox centred(javafx.scene.Node... nodes) {
        def row = new HBox(6, nodes)
        row.setAlignment(Pos.CENTER_LEFT)
        row
    }

    /** Shows the settings as they are now. */
    void fill() {
        server.setText(settings.server())
        access.getItems().setAll(
            fileOf(PaletteTexts.of('token'), settings.tokenFile()) { settings.tokenFile(it) },
            fileOf(PaletteTexts.of('certificates'), settings.certificates()) { settings.certificates(it) })
    }

    /** @param plane what the active viewer shows, or null */
    void show(plane) {
        def (colour, text) = of(plane)
        lamp.setFill(colour)
        state.setText(text)
        tip.setText(text)
        retry.setDisable(colour == Color.LIMEGREEN)
        startOffer.show(link.unanswered)
    }

    private List of(plane) {
        if (link.trouble)
            return [Color.ORANGE, link.trouble]
        if (!link.reached)
            return [Color.GRAY, PaletteTexts.of('connecting', link.address())]
        if (plane == null)
            return [Color.LIMEGREEN, PaletteTexts.of('connected', link.address())]
        switch (plane.state) {
            case SessionState.READY: return [Color.LIMEGREEN, PaletteTexts.of('ready', plane.info?.model() ?: '', link.address())]
            case SessionState.FAILED: return [Color.RED, plane.trouble?.text() ?: PaletteTexts.of('failed')]
            case SessionState.CLOSED: return [Color.GRAY, PaletteTexts.of('closed')]
            default: return [plane.trouble == null ? Color.GRAY : Color.ORANGE, plane.trouble?.text() ?: PaletteTexts.of('opening')]
        }
    }

    private void useAddress() {
        try {
            settings.server(server.getText())
            link.connect()
        } catch (WsiSamException malformed) {
            state.setText(malformed.text())
        }
    }

    /** A menu that names a file, or none, and connects anew. Only where it lies is kept. */
    private Menu fileOf(String what, String now, Closure keep) {
        def take = { String path ->
            keep(path)
            fill()
            link.connect()
        }
        def choose = new MenuItem(PaletteTexts.of('file.choose'))
        choose.setOnAction {
            def file = new FileChooser().showOpenDialog(window)
            if (file != null)
                take(file.getPath())
        }
        def none = new MenuItem(PaletteTexts.of('file.none'))
        none.setDisable(now.isEmpty())
        none.setOnAction { take('') }
        new Menu(PaletteTexts.of('file', what, now ? new File(now).getName() : PaletteTexts.of('file.nothing')), null, choose, none)
    }
}
