package io.wsisam.qupath

import io.wsisam.client.WsiSamClient
import io.wsisam.client.connection.WsiSamException
import io.wsisam.script.Invitation
import io.wsisam.script.Settings
import javafx.application.Platform
import javafx.geometry.Insets
import javafx.geometry.Pos
import javafx.scene.Scene
import javafx.scene.control.Button
import javafx.scene.control.Label
import javafx.scene.control.TextField
import javafx.scene.control.Tooltip
import javafx.scene.layout.GridPane
import javafx.scene.layout.HBox
import javafx.scene.layout.Priority
import javafx.scene.layout.Region
import javafx.scene.layout.VBox
import javafx.stage.FileChooser
import javafx.stage.Stage
import qupath.lib.gui.UserDirectoryManager

import java.nio.file.Path

/** Which server, and what it wants. All its methods run on the JavaFX thread. */
class ServerWindow {
    private static final double WIDTH = 460

    /** What an open palette does when the settings have changed: a Runnable among the properties of QuPath's window. */
    static final String CHANGED = 'wsisam.server.changed'

    private final gui
    private final Settings settings = Settings.user()
    private final Stage stage = new Stage()
    private final TextField address = new TextField()
    private final TextField token = new TextField()
    private final TextField certificates = new TextField()
    private final Label said = new Label()

    static ServerWindow open(gui) {
        def window = new ServerWindow(gui)
        window.show()
        window
    }

    private ServerWindow(gui) {
        this.gui = gui
    }

    private void show() {
        address.setId('wsisam-server-address')
        said.setId('wsisam-server-said')
        address.setTooltip(new Tooltip('HOST:PORT, or https://HOST:PORT'))
        fill()
        def grid = new GridPane()
        grid.setHgap(6)
        grid.setVgap(6)
        [['Address', address, null], ['Token', token, 'a file, or none'], ['Certificates', certificates, 'a file of the lab, or none']].eachWithIndex { row, i ->
            grid.add(new Label(row[0]), 0, i)
            grid.add(row[2] ? new HBox(6, row[1], chooser(row[1])) : row[1], 1, i)
            if (row[2]) {
                row[1].setPromptText(row[2])
                HBox.setHgrow(row[1], Priority.ALWAYS)
            }
            GridPane.setHgrow(grid.getChildren().last(), Priority.ALWAYS)
        }
        said.setWrapText(true)
        said.setMinHeight(54)
        said.setAlignment(Pos.TOP_LEFT)
        def connect = new Button('Connect')
        connect.setId('wsisam-server-connect')
        connect.setDefaultButton(true)
        connect.setOnAction { useSettings() }
        def invitation = new Button('Open an invitation\u2026')
        invitation.setTooltip(new Tooltip('The one file that your lab sent you: address, certificates and token.'))
        invitation.setOnAction { openInvitation() }
        def here = new Button('On this computer\u2026')
        here.setId('wsisam-server-here')
        here.setTooltip(new Tooltip('Starts a server here, for you alone.'))
        here.setOnAction {
            stage.close()
            LocalServerWindow.open(gui)
        }
        def close = new Button('Close')
        close.setOnAction { stage.close() }
        def buttons = [connect, invitation, here, close]
        buttons.each { it.setMinWidth(Region.USE_PREF_SIZE) }       // a narrow window cuts their texts
        def pane = new VBox(10, grid, new HBox(6, *buttons), said)
        pane.setPadding(new Insets(12))
        pane.setPrefWidth(WIDTH)
        def scene = new Scene(pane)
        scene.getStylesheets().setAll(gui.getStage().getScene().getStylesheets())
        stage.initOwner(gui.getStage())
        stage.setTitle('WSI-SAM: server')
        stage.setScene(scene)
        stage.show()
        ask()
    }

    private void fill() {
        address.setText(settings.server())
        token.setText(settings.tokenFile())
        certificates.setText(settings.certificates())
    }

    private Button chooser(TextField field) {
        def button = new Button('Choose\u2026')
        button.setMinWidth(Region.USE_PREF_SIZE)
        button.setOnAction {
            def file = new FileChooser().showOpenDialog(stage)
            if (file != null)
                field.setText(file.getPath())
        }
        button
    }

    private void openInvitation() {
        def chooser = new FileChooser()
        chooser.getExtensionFilters().setAll(new FileChooser.ExtensionFilter('Invitations', "*${Invitation.ENDING}".toString()))
        def file = chooser.showOpenDialog(stage)
        if (file == null)
            return
        try {
            take(file)
        } catch (IllegalArgumentException | IOException refused) {
            said.setText(refused.getMessage())
            return
        }
        fill()
        changed(gui)
        ask()
    }

    /**
     * Sets everything up as an invitation says.
     *
     * @throws IllegalArgumentException it is none, or is over
     */
    static void take(File file) {
        def folder = UserDirectoryManager.getInstance().getUserPath()?.resolve('wsisam') ?: Path.of(System.getProperty('user.home'), '.wsisam')
        Invitation.read(file.toPath()).accept(folder, Settings.user())
    }

    private void useSettings() {
        try {
            settings.server(address.getText())
        } catch (WsiSamException malformed) {
            said.setText(malformed.text())
            return
        }
        settings.tokenFile(token.getText() ?: '')
        settings.certificates(certificates.getText() ?: '')
        changed(gui)
        ask()
    }

    /** The palette, if there is one, connects anew. */
    static void changed(gui) {
        (gui.getStage().getProperties().get(CHANGED) as Runnable)?.run()
    }

    private void ask() {
        said.setText("Asking ${settings.server()}\u2026")
        Thread.startDaemon('wsisam-server') {
            def text = answer(settings)
            Platform.runLater { said.setText(text) }
        }
    }

    /** What the server of the settings says, in a sentence. Blocks. */
    static String answer(Settings settings) {
        try {
            return Steps.withClient(settings.clientOptions()) { client ->
                def info = WsiSamClient.await(client.info())
                def models = info.models().findAll { it.isInstalled() }*.name()
                models ? "Connected. The server is of release ${info.version()}, with ${models.join(', ')}.".toString() : 'Connected. The server is loading its model.'
            }
        } catch (WsiSamException refused) {
            return refused.text()
        }
    }
}
