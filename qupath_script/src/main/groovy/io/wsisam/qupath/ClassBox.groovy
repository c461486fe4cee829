package io.wsisam.qupath

import io.wsisam.script.ClassChoice
import io.wsisam.script.Settings
import javafx.beans.value.ChangeListener
import javafx.collections.ListChangeListener
import javafx.scene.control.ComboBox
import javafx.scene.control.ListCell
import javafx.scene.control.Tooltip
import javafx.scene.paint.Color
import javafx.scene.shape.Rectangle
import qupath.lib.gui.QuPathGUI
import qupath.lib.objects.classes.PathClass

/** The class of the next object: QuPath's classes as they are now, with their colours. Its methods run on the JavaFX thread. */
class ClassBox {
    private static final double SWATCH = 10

    final ComboBox<String> box = new ComboBox<>()
    private final QuPathGUI gui
    private final ClassChoice classes
    private final Settings settings
    private boolean filling
    private final ListChangeListener follow = { change -> fill() } as ListChangeListener

    ClassBox(QuPathGUI gui, Settings settings, String help) {
        this.gui = gui
        this.settings = settings
        classes = ClassChoice.of(names(), settings.className())
        box.setId('wsisam-class')
        box.setMaxWidth(Double.MAX_VALUE)
        box.setButtonCell(cell())
        box.setCellFactory { cell() }
        box.setTooltip(new Tooltip(help))
        fill()
        box.valueProperty().addListener({ o, was, is ->
            if (!filling)
                choose(is ?: '')
        } as ChangeListener)
        gui.getAvailablePathClasses().addListener(follow)
    }

    /** Leaves QuPath's list alone again. */
    void close() {
        gui.getAvailablePathClasses().removeListener(follow)
    }

    /** The chosen class; '' for none. */
    String current() {
        classes.current()
    }

    void next() {
        show(classes.next())
    }

    void previous() {
        show(classes.previous())
    }

    /** By the number on a key: 0 is no class. */
    void number(int number) {
        if (classes.number(number))
            show(classes.current())
    }

    /** Chooses a class that there is. */
    void choose(String name) {
        if (classes.choose(name))
            show(name)
    }

    private void show(String name) {
        settings.className(name)
        if (box.getValue() != name)
            box.setValue(name)
    }

    private void fill() {
        filling = true
        classes.names(names())
        box.getItems().setAll(classes.names())
        box.setValue(classes.current())
        filling = false
    }

    private List<String> names() {
        gui.getAvailablePathClasses().collect { it.getName() == null ? '' : it.toString() }
    }

    private ListCell<String> cell() {
        def numbers = { String name -> box.getItems().indexOf(name) }
        new ListCell<String>() {
            @Override
            protected void updateItem(String name, boolean empty) {
                super.updateItem(name, empty)
                int number = empty ? -1 : numbers(name)
                setText(empty ? null : "${name ?: '(no class)'}${number in 0..9 ? "  (${number})" : ''}".toString())
                setGraphic(empty || !name ? null : new Rectangle(SWATCH, SWATCH, ClassBox.colour(name)))
            }
        }
    }

    private static Color colour(String name) {
        def rgb = PathClass.fromString(name).getColor() ?: 0
        Color.rgb((rgb >> 16) & 255, (rgb >> 8) & 255, rgb & 255)
    }
}
