package io.wsisam.qupath

import io.wsisam.client.connection.ServerAddress
import javafx.scene.control.Button
import javafx.scene.control.Tooltip
import javafx.scene.layout.Region

/** The palette's button that starts a server on this computer: seen where none answers, and this computer may have one. */
class StartOffer {
    final Button button = new Button(PaletteTexts.of('here'))

    StartOffer(gui) {
        button.setId('wsisam-start-local')
        button.setMinWidth(Region.USE_PREF_SIZE)
        button.setFocusTraversable(false)
        button.setTooltip(new Tooltip(PaletteTexts.of('here.help')))
        button.setOnAction { LocalServerWindow.open(gui) }
        seen(false)
    }

    /** @param address of the server that does not answer; null where it does, or is not asked yet */
    void show(String address) {
        seen(address != null && (isHere(address) || LocalServerWindow.server()?.installation()?.isPresent()))
    }

    private static boolean isHere(String address) {
        ServerAddress.parse(address).isLoopback()
    }

    private void seen(boolean wanted) {
        if (button.isVisible() == wanted && button.isManaged() == wanted)
            return
        button.setVisible(wanted)
        button.setManaged(wanted)
        button.getScene()?.getWindow()?.sizeToScene()
    }
}
