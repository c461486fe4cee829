package io.wsisam.qupath

import io.wsisam.script.Settings
import io.wsisam.script.finishing.Finishing
import io.wsisam.script.finishing.Overlap
import javafx.scene.control.CheckMenuItem
import javafx.scene.control.Menu
import javafx.scene.control.MenuButton
import javafx.scene.control.RadioMenuItem
import javafx.scene.control.SeparatorMenuItem
import javafx.scene.control.ToggleGroup
import javafx.scene.control.Tooltip

/** What is done with outlines before they are accepted: switches that are remembered. On the JavaFX thread. */
class FinishingMenu {
    private static final List<Double> AREAS = [0d, 10d, 50d, 200d, 1000d, 1e12d], LENGTHS = [0d, 0.5d, 1d, 2d, 5d]

    final MenuButton button = new MenuButton()
    private final Settings settings
    private final Closure asked
    private final Closure fitted

    /**
     * @param asked called when the server is to finish otherwise
     * @param fitted called when outlines are to lie otherwise beside their neighbours
     */
    FinishingMenu(Settings settings, Closure asked, Closure fitted) {
        this.settings = settings
        this.asked = asked
        this.fitted = fitted
        def parts = new CheckMenuItem(PaletteTexts.of('finish.parts'))
        parts.setSelected(settings.promptedParts())
        parts.setOnAction {
            settings.promptedParts(parts.isSelected())
            asked()
            showState()
        }
        def inside = new CheckMenuItem(PaletteTexts.of('finish.inside'))
        inside.setSelected(settings.finishing().inside())
        inside.setOnAction { fit(new Finishing(settings.finishing().overlap(), inside.isSelected())) }
        def overlap = choices('finish.overlap', Overlap.values().toList(), settings.finishing().overlap()) { fit(new Finishing(it, settings.finishing().inside())) }
        def holes = choices('finish.holes', AREAS, settings.fillHolesBelow()) {
            settings.fillHolesBelow(it)
            asked()
            showState()
        }
        def smooth = choices('finish.smooth', LENGTHS, settings.smoothing()) {
            settings.smoothing(it)
            asked()
            showState()
        }
        button.setId('wsisam-finish')
        button.setTooltip(new Tooltip(PaletteTexts.of('finish.help')))
        button.setMaxWidth(Double.MAX_VALUE)
        button.getItems().setAll(holes, parts, smooth, new SeparatorMenuItem(), overlap, inside)
        showState()
    }

    private void fit(Finishing finishing) {
        settings.finishing(finishing)
        fitted()
        showState()
    }

    private Menu choices(String name, List values, now, Closure choose) {
        def group = new ToggleGroup()
        def menu = new Menu(PaletteTexts.of(name))
        values.each { value ->
            def item = new RadioMenuItem(PaletteTexts.of("${name}.${value instanceof Double ? number(value) : value.name()}".toString()))
            item.setToggleGroup(group)
            item.setSelected(value == now)
            item.setOnAction { choose(value) }
            menu.getItems().add(item)
        }
        menu
    }

    private static String number(Double value) {
        value == 1e12d ? 'all' : (value as BigDecimal).stripTrailingZeros().toPlainString()
    }

    /** The button says what is on. */
    private void showState() {
        def on = []
        if (settings.fillHolesBelow() > 0)
            on << PaletteTexts.of('finish.on.holes')
        if (!settings.promptedParts())
            on << PaletteTexts.of('finish.on.parts')
        if (settings.smoothing() > 0)
            on << PaletteTexts.of('finish.on.smooth')
        if (settings.finishing().overlap() != Overlap.ALLOWED)
            on << PaletteTexts.of('finish.on.overlap')
        if (settings.finishing().inside())
            on << PaletteTexts.of('finish.on.inside')
        button.setText(on ? on.join(', ') : PaletteTexts.of('finish.on.nothing'))
    }
}
