// WsiSamClicks.groovy on an object larger than the model sees at once: its border refined, called off, taken back, accepted.
import javafx.scene.control.Button

go {
    server(System.getProperty('drive.server'))
    open(System.getProperty('drive.image'))
    fx { viewer().zoomToFit() }
    openPalette()
    until('the server') { says('Ready: ') }
    def finer = { fx { palette().getScene().getRoot().lookupAll('.button').find { it instanceof Button && it.getText().startsWith('Refine border') } } }
    def offered = { fx { !finer().isDisabled() } }
    def said = { status() }
    seen.nothing = offered()

    drag(290, 290, 1750, 1750)
    until('an outline') { says('score') }
    seen.offered = offered()
    def near = fx { viewer().getDownsampleFactor() }
    fx { viewer().setDownsampleFactor(40d) }
    seen.far = offered()
    fx { viewer().setDownsampleFactor(near) }
    until('it to be offered again') { offered() }

    press(KeyCode.E)
    until('the progress') { said().contains('refining the border, ') && said() ==~ /.*, [1-9]\d* of \d+ windows.*/ }
    seen.refining = said()
    picture('refining')
    press(KeyCode.ESCAPE)
    until('the outline as it was') { says('score') }
    seen.stopped = [status: said(), offered: offered(), annotations: annotations().size()]

    fx { finer().fire() }
    until('the finer border') { said().contains('border at') }
    seen.refined = [status: said(), offered: offered()]
    picture('refined')
    press(KeyCode.BACK_SPACE)
    until('the outline before') { says('score') && !said().contains('border at') }
    press(KeyCode.E)
    until('the finer border, from memory') { said().contains('border at') }
    press(KeyCode.ENTER)
    until('the annotation') { annotations().size() == 1 }
    seen.accepted = plain(annotations())
    def step = viewer().getImageData().getHistoryWorkflow().getSteps().findAll { it.getName() == 'WSI-SAM outline' }[-1]
    fx { viewer().getHierarchy().clearAll() }
    run("import static qupath.lib.gui.scripting.QPEx.*\n" + step.getScript())
    seen.repeated = plain(annotations())
    fx { palette().close() }
}
