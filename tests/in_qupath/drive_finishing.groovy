// Outlines that are finished before they are accepted, by the palette's switches, in a window.
import io.wsisam.script.finishing.Overlap
import qupath.lib.objects.PathObjects
import qupath.lib.objects.classes.PathClass
import qupath.lib.regions.ImagePlane
import qupath.lib.roi.ROIs

go {
    server(System.getProperty('drive.server'))
    open(System.getProperty('drive.image'))
    openPalette()
    until('the server') { says('Ready: ') }
    def menu = { fx { palette().getScene().lookup('#wsisam-finish') } }
    def items
    items = { list -> list.collectMany { it instanceof javafx.scene.control.Menu ? items(it.getItems()) : [it] } }
    def choose = { String text -> fx {
        def item = items(menu().getItems()).find { it.getText() == text }
        if (item instanceof javafx.scene.control.CheckMenuItem || item instanceof javafx.scene.control.RadioMenuItem)
            item.setSelected(item instanceof javafx.scene.control.RadioMenuItem || !item.isSelected())
        item.getOnAction().handle(null)
    } }
    def add = { double x, double y, double w, double h, String className, String name ->
        def one = PathObjects.createAnnotationObject(ROIs.createRectangleROI(x, y, w, h, ImagePlane.getDefaultPlane()), PathClass.fromString(className))
        one.setName(name)
        fx { viewer().getHierarchy().addObject(one) }
    }
    add(220, 100, 120, 200, 'Stroma', 'neighbour')
    add(0, 0, 620, 690, 'Region*', 'region')

    // A neighbour is cut off in the preview, and is not when that is switched off again.
    drag(134, 134, 266, 266)
    until('an outline') { says('score') }
    seen.before = [status(), fx { menu().getText() }]
    choose('not with any')
    until('the cut') { status().contains('cut at its neighbours') }
    seen.on = fx { menu().getText() }
    picture('finishing')
    choose('allowed')
    until('the outline as it was') { says('score') && !status().contains('cut') }
    choose('not with any')
    until('the cut again') { status().contains('cut') }
    press(KeyCode.ENTER)
    until('the annotation') { annotations().size() == 3 && says('Click on an object') }
    seen.cut = plain(annotations().findAll { it.getMetadata().containsKey('wsisam.model') })

    // It stays inside the annotation around it, and becomes its child.
    choose('Stay inside the annotation around it')
    drag(504, 154, 696, 346)
    until('cut at the region') { status().contains('cut') }
    press(KeyCode.ENTER)
    until('the second') { annotations().size() == 4 && says('Click on an object') }
    def inside = annotations().find { it.getMetadata().containsKey('wsisam.model') && it.getROI().getCentroidX() > 400 }
    seen.inside = plain([inside])
    seen.parent = inside.getParent().getName()

    // What the server does: the outline is asked anew, and the step repeats it.
    choose('over 5 µm')
    drag(299, 469, 401, 571)
    until('the smooth outline') { says('score') }
    press(KeyCode.ENTER)
    until('the third') { annotations().size() == 5 && says('Click on an object') }
    seen.step = viewer().getImageData().getHistoryWorkflow().getSteps().findAll { it.getName() == 'WSI-SAM outline' }[-1].getScript()
    seen.text = fx { menu().getText() }
    fx { palette().close() }
}
