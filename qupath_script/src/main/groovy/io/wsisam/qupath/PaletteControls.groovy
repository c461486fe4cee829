package io.wsisam.qupath

import io.wsisam.script.Settings
import javafx.beans.value.ChangeListener
import javafx.geometry.Insets
import javafx.geometry.Pos
import javafx.scene.Node
import javafx.scene.control.Button
import javafx.scene.control.ButtonBase
import javafx.scene.control.CheckBox
import javafx.scene.control.ComboBox
import javafx.scene.control.Label
import javafx.scene.control.Spinner
import javafx.scene.control.ToggleButton
import javafx.scene.control.ToggleGroup
import javafx.scene.control.Tooltip
import javafx.scene.layout.GridPane
import javafx.scene.layout.HBox
import javafx.scene.layout.Priority
import javafx.scene.layout.Region
import javafx.scene.layout.VBox

/** The palette's buttons, lists and lines, and what they show. Its methods run on the JavaFX thread. */
class PaletteControls {
    private static final double WIDTH = 380

    final VBox pane
    final ClassBox className
    private final Settings settings
    private final Map<String, List<String>> keys
    private final Map<String, Closure> actions
    private final AnnotationController controller
    private final ServerLine server
    private final ComboBox<String> model = new ComboBox<>()
    private final Tooltip modelTip = new Tooltip()
    private boolean filling                     // while the palette itself sets the models' list
    private final ToggleButton toolOn = toggle('tool')
    private final ToggleGroup kinds = new ToggleGroup()
    private final ToggleButton positive = kind('positive'), negative = kind('negative'), box = kind('box'), lasso = kind('lasso')
    private final Label detailUnit = new Label('\u00b5m')
    private final Spinner<Double> detail = new Spinner<>(0.0d, 50.0d, 0.0d, 0.25d)
    private final Label drawn = new Label()
    private final CheckBox keep = new CheckBox(PaletteTexts.of('keep')), watch = new CheckBox(PaletteTexts.of('watch'))
    private final Label kept = new Label()
    private final Button finer, undo, reject, accept

    /** @param actions what buttons do, by the names of keys; TOOL_ON gets whether the click tool is to be on */
    PaletteControls(gui, Settings settings, Map<String, List<String>> keys, AnnotationController controller, ServerLine server, Map<String, Closure> actions) {
        this.settings = settings
        this.keys = keys
        this.controller = controller
        this.server = server
        this.actions = actions
        className = new ClassBox(gui, settings, PaletteTexts.of('class.help', keys.NEXT_CLASS[0]))
        finer = button('refine', 'REFINE')
        undo = button('undo', 'UNDO')
        reject = button('reject', 'REJECT')
        accept = button('accept', 'ACCEPT')
        setUp()
        pane = layOut()
    }

    /** Whether a click means that it belongs to the object, but for the modifier that turns it round. */
    boolean isPositive() {
        !negative.isSelected()
    }

    /** Whether clicks count at all. */
    boolean takesClicks() {
        !box.isSelected()
    }

    /** Whether drags are rough loops about the object, and not boxes. */
    boolean drawsLoops() {
        lasso.isSelected()
    }

    void showTool(boolean on) {
        toolOn.setSelected(on)
    }

    /** @param on whether the click tool is on */
    void show(viewer, plane, boolean on) {
        def draft = plane?.current
        server.show(plane)
        showModels()
        detailUnit.setText(plane == null || plane.imageData.getServer().getPixelCalibration().hasPixelSizeMicrons() ? '\u00b5m' : 'px')
        drawn.setText(StatusText.of(plane, draft, on, keys))
        showFiner(viewer, draft)
        [keep, watch].each { it.setDisable(controller.link.store == null) }
        kept.setText(controller.link.store == null && controller.link.reached ? PaletteTexts.of('keep.none') : controller.keeper.status(viewer?.getSelectedObject()))
        undo.setDisable(draft == null)
        reject.setDisable(draft == null)
        accept.setDisable(draft == null || !draft.isSendable())
    }

    void showFiner(viewer, draft) {
        finer.setDisable(!controller.isRefinable(viewer, draft))
    }

    private void showModels() {
        def models = controller.link.models
        def names = models*.name()
        def current = settings.model() ?: models.find { it.isDefault() }?.name()
        filling = true
        if (model.getItems() != names)
            model.getItems().setAll(names)
        if (model.getValue() != current)
            model.setValue(current)
        filling = false
        modelTip.setText(models.find { it.name() == current }?.description() ?: PaletteTexts.of('model.help'))
    }

    private void setUp() {
        model.setOnAction {
            if (!filling && model.getValue() != null) {
                settings.model(model.getValue())
                controller.useNewOptions()
            }
        }
        // The class decides what is in an object's way.
        className.box.valueProperty().addListener({ o, was, is -> controller.finishAnew() } as ChangeListener)
        model.setTooltip(modelTip)
        model.setMaxWidth(Double.MAX_VALUE)
        finer.setTooltip(new Tooltip(PaletteTexts.of('refine.help')))
        [finer, detailUnit].each { it.setMinWidth(Region.USE_PREF_SIZE) }
        detail.setPrefWidth(110)
        detail.setEditable(true)
        detail.getValueFactory().setValue(settings.tolerance())
        detail.setTooltip(new Tooltip(PaletteTexts.of('detail.help')))
        detail.valueProperty().addListener({ o, was, is ->
            settings.tolerance(is ?: 0d)
            controller.useNewOptions()
        } as ChangeListener)
        positive.setSelected(true)
        kinds.selectedToggleProperty().addListener({ o, was, is -> if (is == null) was.setSelected(true) } as ChangeListener)
        toolOn.setOnAction { actions.TOOL_ON(toolOn.isSelected()) }
        drawn.setWrapText(true)
        drawn.setMinHeight(36)
        keep.setId('wsisam-keep')
        keep.setSelected(settings.keepInStore())
        keep.setTooltip(new Tooltip(PaletteTexts.of('keep.help')))
        keep.setOnAction {
            settings.keepInStore(keep.isSelected())
            controller.changed(false)
        }
        watch.setId('wsisam-watch')
        watch.setSelected(settings.watchColleagues())
        watch.setTooltip(new Tooltip(PaletteTexts.of('watch.help')))
        watch.setOnAction {
            settings.watchColleagues(watch.isSelected())
            controller.changed()
        }
        kept.setId('wsisam-kept')
        kept.setWrapText(true)
        kept.setMinHeight(36)
    }

    private VBox layOut() {
        def grid = new GridPane()
        grid.setHgap(6)
        grid.setVgap(6)
        [server: server.address, model: model, class: className.box, detail: centred(detail, detailUnit, finer),
         finish: new FinishingMenu(settings, { controller.useNewOptions() }, { controller.finishAnew() }).button].eachWithIndex { name, node, i ->
            def label = new Label(PaletteTexts.of(name))
            label.setMinWidth(Region.USE_PREF_SIZE)
            grid.add(label, 0, i)
            grid.add(node, 1, i)
            GridPane.setHgrow(node, Priority.ALWAYS)
        }
        def all = new VBox(8, server.health, server.startHere, grid, inARow(toolOn), inARow(positive, negative, box, lasso), drawn, inARow(undo, reject, accept), new HBox(12, keep, watch), kept)
        all.setPadding(new Insets(10))
        all.setPrefWidth(WIDTH)
        all
    }

    private static HBox centred(Node... nodes) {
        def row = new HBox(6, nodes)
        row.setAlignment(Pos.CENTER_LEFT)
        row
    }

    private static HBox inARow(ButtonBase... buttons) {
        buttons.each {
            HBox.setHgrow(it, Priority.ALWAYS)
            it.setMaxWidth(Double.MAX_VALUE)
        }
        new HBox(4, buttons)
    }

    private static ToggleButton toggle(String name) {
        def button = new ToggleButton(PaletteTexts.of(name))
        button.setTooltip(new Tooltip(PaletteTexts.of("${name}.help".toString())))
        button
    }

    private ToggleButton kind(String name) {
        def button = toggle(name)
        button.setToggleGroup(kinds)
        button
    }

    private Button button(String name, String key) {
        def button = new Button(PaletteTexts.of('withKey', PaletteTexts.of(name), keys[key][0]))
        button.setOnAction { actions[key]() }
        button.setFocusTraversable(false)
        button
    }
}
