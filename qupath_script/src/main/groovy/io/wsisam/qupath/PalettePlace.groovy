package io.wsisam.qupath

import io.wsisam.script.Settings
import javafx.beans.value.ChangeListener
import javafx.stage.Screen
import javafx.stage.Stage

/** Where the palette is on the screen. */
class PalettePlace {
    private static final double MARGIN = 8

    private final Settings settings
    private final Stage stage
    private boolean moved       // by the user

    PalettePlace(Settings settings, Stage stage) {
        this.settings = settings
        this.stage = stage
    }

    /** Where the user has left it; else beside QuPath's window where the screen has room; else over the lists at its left, so that the image stays free. */
    void find(Stage main) {
        put(main)
        def placed = { o, was, is -> moved = true } as ChangeListener
        [stage.xProperty(), stage.yProperty()].each { it.addListener(placed) }
    }

    private void put(Stage main) {
        def last = settings.palettePlace()
        if (last != null && Screen.getScreensForRectangle(last[0], last[1], stage.getWidth(), MARGIN)) {
            stage.setX(last[0])
            stage.setY(last[1])
            return
        }
        def right = main.getX() + main.getWidth()
        if (Screen.getPrimary().getVisualBounds().getMaxX() - right >= stage.getWidth()) {
            stage.setX(right)
            stage.setY(main.getY())
        } else {
            stage.setX(main.getX() + MARGIN)
            stage.setY(main.getY() + main.getHeight() - stage.getHeight() - 4 * MARGIN)     // above the lists' search fields
        }
    }

    void keep() {
        if (moved)
            settings.palettePlace(stage.getX(), stage.getY())
    }
}
