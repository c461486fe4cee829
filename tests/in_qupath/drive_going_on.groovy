// The palette: classes that follow, another tool, other fields, and going on with annotations, in a window.
import qupath.lib.objects.PathObjects
import qupath.lib.objects.classes.PathClass
import qupath.lib.roi.ROIs
import qupath.lib.regions.ImagePlane

go {
    server(System.getProperty('drive.server'))
    open(System.getProperty('drive.image'))
    fx { qupath.getOverlayOptions().setShowNames(true) }
    seen.labelsBefore = fx { qupath.getOverlayOptions().getShowNames() }
    openPalette()
    until('the server') { says('Ready: ') }
    seen.labels = fx { qupath.getOverlayOptions().getShowNames() }

    // Classes follow QuPath's, and have numbers.
    fx { qupath.getAvailablePathClasses().add(PathClass.fromString('Gland', 0x00FF00)) }
    seen.classes = fx { palette().getScene().lookup('#wsisam-class').getItems().toList() }
    int number = seen.classes.indexOf('Tumor')
    seen.tumor = number
    press(KeyCode.valueOf("DIGIT${number}"))
    sleep(300)
    seen.chosen = run('io.wsisam.script.Settings.user().className()')
    picture('classes')

    // Another tool: the palette says so.
    fx { qupath.getToolManager().setSelectedTool(PathTools.RECTANGLE) }
    until('that another tool is on') { says('Another tool is on') }
    picture('other_tool')
    fx { qupath.getToolManager().setSelectedTool(qupath.getToolManager().getSelectedTool()) }
    run(new File(System.getProperty('drive.script')).text)
    until('the tool again') { qupath.getToolManager().getSelectedTool().getName() == 'WSI-SAM' }
    fx { viewer().getView().requestFocus() }

    // Half and double the field.
    drag(134, 134, 266, 266)
    until('an outline') { says('score') }
    seen.atFirst = status()
    press(KeyCode.K)
    until('double the field') { status() != seen.atFirst && says('score') }
    seen.larger = status()
    picture('double_field')
    press(KeyCode.BACK_SPACE)
    until('the field before') { status() == seen.atFirst }
    press(KeyCode.ENTER)
    until('the annotation') { annotations().size() == 1 && says('Click on an object') }
    seen.accepted = plain(annotations())

    // Going on with it: its prompts come back, a click more, and it is still the same annotation.
    fx { viewer().setSelectedObject(annotations()[0]) }
    press(KeyCode.T)
    until('its prompts') { status().startsWith('box') && says('score') }
    click(200, 200)
    until('one click more') { status().startsWith('box, 1 positive') && says('score') }
    picture('going_on')
    press(KeyCode.ENTER)
    until('that it is done') { says('Click on an object') }
    seen.goneOn = plain(annotations())
    fx { qupath.getUndoRedoManager().undoOnce() }
    seen.undone = plain(annotations())
    fx { qupath.getUndoRedoManager().redoOnce() }

    // A crude ellipse that somebody drew, double-clicked.
    def crude = PathObjects.createAnnotationObject(ROIs.createEllipseROI(495, 160, 190, 170, ImagePlane.getDefaultPlane()), PathClass.fromString('Stroma'))
    crude.setName('by hand')
    fx { viewer().getHierarchy().addObject(crude) }
    seen.crude = plain([crude])
    sleep(600)
    move(600, 250)
    2.times {
        fx { robot.mousePress(MouseButton.PRIMARY); robot.mouseRelease(MouseButton.PRIMARY) }
        sleep(60)
    }
    until('its shape') { status().startsWith('shape') && says('score') }
    picture('shape')
    press(KeyCode.ENTER)
    until('the precise outline') { says('Click on an object') }
    seen.precise = plain(annotations().findAll { it.getName() == 'by hand' })

    fx { annotations().each { it.setLocked(true) }; viewer().setSelectedObject(annotations()[0]) }
    press(KeyCode.T)
    until('that it is locked') { seen.notes.any { it.contains('locked') } }
    fx { palette().close() }
    until('the threads to end') { ourThreads().findAll { !(it in ['wsisam-compiler']) }.isEmpty() }
    seen.labelsAfter = fx { qupath.getOverlayOptions().getShowNames() }
}
