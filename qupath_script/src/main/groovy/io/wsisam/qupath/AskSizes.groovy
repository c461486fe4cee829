package io.wsisam.qupath

import javafx.geometry.Insets
import javafx.scene.control.ButtonType
import javafx.scene.control.ComboBox
import javafx.scene.control.Dialog
import javafx.scene.control.Label
import javafx.scene.control.TextField
import javafx.scene.layout.GridPane
import qupath.fx.utils.FXUtils

import java.util.prefs.Preferences

/** What the menu asks before WsiSamEverything: the sizes of the objects, their class and kind, as said the last time. */
class AskSizes {
    private final Preferences last = Preferences.userRoot().node('io/wsisam/everything')
    private final gui

    /** Not on the JavaFX thread. The script's arguments; null when the user cancels. */
    static String[] ask(gui) {
        FXUtils.callOnApplicationThread { new AskSizes(gui).show() }
    }

    private AskSizes(gui) {
        this.gui = gui
    }

    private String[] show() {
        def unit = gui.getImageData()?.getServer()?.getPixelCalibration()?.hasPixelSizeMicrons() == false ? 'pixels' : 'microns'
        def smallest = new TextField(last.get('minSize', '5'))
        def largest = new TextField(last.get('maxSize', '12'))
        def className = new ComboBox<String>()
        className.getItems().setAll([''] + gui.getAvailablePathClasses().findAll { it.getName() != null }.collect { it.toString() })
        className.setValue(last.get('className', ''))
        def kind = new ComboBox<String>()
        kind.getItems().setAll('annotation', 'detection')
        kind.setValue(last.get('kind', 'annotation'))
        def grid = new GridPane()
        grid.setHgap(8)
        grid.setVgap(6)
        grid.setPadding(new Insets(10))
        [["Smallest diameter (${unit})", smallest], ["Largest diameter (${unit})", largest], ['Class', className], ['Made as', kind]].eachWithIndex { row, i ->
            grid.addRow(i, new Label(row[0].toString()), row[1])
        }
        def dialog = new Dialog<ButtonType>()
        dialog.initOwner(gui.getStage())
        dialog.setTitle('WSI-SAM: all objects')
        dialog.setHeaderText('All objects of these sizes in the selected annotations. Best is a largest of at most three times the smallest.')
        dialog.getDialogPane().setContent(grid)
        dialog.getDialogPane().getButtonTypes().setAll(ButtonType.OK, ButtonType.CANCEL)
        if (dialog.showAndWait().orElse(ButtonType.CANCEL) != ButtonType.OK)
            return null
        // A number as people write it where a comma is the point; what is none, the script refuses by name.
        def said = [minSize: smallest.getText().trim().replace(',', '.'), maxSize: largest.getText().trim().replace(',', '.'), className: className.getValue() ?: '', kind: kind.getValue()]
        said.each { name, value -> last.put(name, value) }
        said.collect { name, value -> "${name}=${value}".toString() } as String[]
    }
}
