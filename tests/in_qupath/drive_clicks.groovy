// WsiSamClicks.groovy from its first click to the closed palette.
go {
    server(System.getProperty('drive.server'))
    open(System.getProperty('drive.image'))
    openPalette()
    until('the server') { says('Ready: ') }
    seen.open = [overlays: viewer().getCustomOverlayLayers().size(), tool: qupath.getToolManager().getSelectedTool().getName()]

    drag(134, 134, 266, 266)
    until('an outline') { says('score') }
    seen.beforeAccept = annotations().size()
    click(200, 200)
    until('the refined outline') { status().startsWith('box, 1 positive') && says('score') }
    seen.afterClick = status()
    click(255, 150, KeyCode.ALT)
    until('the negative click') { status().startsWith('box, 1 positive, 1 negative') && says('score') }
    seen.afterAltClick = status()
    picture('refined')
    press(KeyCode.BACK_SPACE)
    press(KeyCode.BACK_SPACE)
    until('the box alone') { status().startsWith('box \u2013 score') }
    seen.afterUndo = status()
    def classes = []
    3.times {
        press(KeyCode.X)
        sleep(200)
        classes << run('io.wsisam.script.Settings.user().className()')
    }
    seen.classes = classes
    press(KeyCode.ENTER)
    until('the annotation') { annotations().size() == 1 && says('Click on an object') }
    seen.accepted = plain(annotations())
    picture('accepted')
    def step = viewer().getImageData().getHistoryWorkflow().getSteps().findAll { it.getName() == 'WSI-SAM outline' }[-1]
    seen.stepTypes = (step.getParameterMap().collectMany { k, v -> [k, v] } + [step.getName(), step.getScript()])*.getClass()*.getName().unique()
    seen.stepScript = step.getScript()

    fx { qupath.getUndoRedoManager().undoOnce() }
    seen.afterQuPathUndo = annotations().size()
    fx { qupath.getUndoRedoManager().redoOnce() }
    seen.afterQuPathRedo = annotations().size()
    press(KeyCode.Z, KeyCode.CONTROL)
    until("QuPath's undo by its key") { annotations().isEmpty() }
    fx { qupath.getUndoRedoManager().redoOnce() }
    def again = "import static qupath.lib.gui.scripting.QPEx.*\n" + step.getScript()
    run(again)
    seen.afterStepAgain = annotations().size()
    fx { viewer().getHierarchy().clearAll() }
    run(again)
    seen.repeated = plain(annotations())

    // Which click means more than one object, the model's weights decide.
    seen.ambiguous = [[350d, 520d], [600d, 250d], [670d, 250d], [600d, 330d], [240d, 230d], [385d, 520d]].find { at ->
        click(at[0], at[1])
        until('an outline of the click') { status().startsWith('1 positive') && says('score') }
        boolean several = status().contains(' of ')
        if (!several)
            press(KeyCode.ESCAPE)
        several
    }
    if (seen.ambiguous == null)
        throw new IllegalStateException('no click has candidates')
    while (!status().contains(' 1 of ')) {              // past it, half the field would be asked
        press(KeyCode.J)
        sleep(300)
    }
    seen.smallest = status()
    press(KeyCode.K)
    until('a larger one') { status() != seen.smallest }
    seen.larger = status()
    picture('candidate')
    press(KeyCode.ENTER)
    until('the candidate as an annotation') { annotations().size() == 2 && says('Click on an object') }
    seen.candidate = plain(annotations()).find { it.id != seen.repeated[0].id }
    fx { viewer().getHierarchy().removeObject(annotations().find { it.getID().toString() == seen.candidate.id }, false) }

    drag(504, 154, 696, 346)
    press(KeyCode.ESCAPE)
    sleep(500)
    seen.afterEscape = [annotations: annotations().size(), draws: says('score')]

    def centre = { [viewer().getCenterPixelX(), viewer().getCenterPixelY()] }
    def before = centre()
    drag(300, 300, 420, 340, KeyCode.SPACE)
    until('the image to move') { before != centre() }
    seen.spaceDrag = [draws: says('score') || says('asking')]
    sleep(1500)                             // it glides on
    fx { viewer().zoomToFit() }
    settle()

    fx { qupath.getToolManager().setSelectedTool(PathTools.RECTANGLE) }
    drag(300, 470, 400, 570)
    until('a rectangle') { annotations().any { it.getROI().getRoiName() == 'Rectangle' } }
    seen.otherTool = [draws: says('score') || says('asking')]
    fx { viewer().getHierarchy().clearAll() }

    fx { palette().close() }
    until('the threads to end') { ourThreads().isEmpty() }
    click(200, 200)
    press(KeyCode.X)
    sleep(500)
    seen.closed = [overlays: viewer().getCustomOverlayLayers().size(), tool: qupath.getToolManager().getSelectedTool().getName(),
                   threads: ourThreads(), annotations: annotations().size()]
}
