package io.wsisam.qupath

import javafx.event.EventHandler
import javafx.scene.Scene
import javafx.scene.input.KeyCode
import javafx.scene.input.KeyEvent

/** Which key is held down: the system repeats its press, and what a press decides must be decided once. On the JavaFX thread. */
class HeldKey {
    private final EventHandler<KeyEvent> released = { KeyEvent e -> held = null } as EventHandler<KeyEvent>
    private final List<Scene> scenes = []
    private KeyCode held

    /** Hears when keys are released in a window. */
    void listenTo(Scene scene) {
        scenes << scene
        scene.addEventFilter(KeyEvent.KEY_RELEASED, released)
    }

    void close() {
        scenes.each { it.removeEventFilter(KeyEvent.KEY_RELEASED, released) }
        scenes.clear()
    }

    /** Whether a press is the system's, of a key that was not released since the one before. To be asked once for each press. */
    boolean isRepeat(KeyEvent pressed) {
        boolean again = held == pressed.getCode()
        held = pressed.getCode()
        again
    }
}
