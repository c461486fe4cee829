// WsiSamLike.groovy, run by the menu: three are shown, more are found, one is rejected, the rest taken; then again.
import javafx.scene.control.Slider
import javafx.stage.Window
import qupath.lib.objects.PathObjects
import qupath.lib.objects.classes.PathClass
import qupath.lib.regions.ImagePlane
import qupath.lib.roi.ROIs

go {
    server(System.getProperty('drive.server'))
    open(System.getProperty('drive.image'))
    fx { viewer().zoomToFit() }
    def cells = System.getProperty('drive.cells').split(';').collect { it.split(',')*.toDouble() }
    def shown = cells.take(3).collect { x, y ->
        PathObjects.createAnnotationObject(ROIs.createEllipseROI(x - 18, y - 18, 36, 36, ImagePlane.getDefaultPlane()), PathClass.fromString('Cell'))
    }
    fx {
        viewer().getHierarchy().addObjects(shown)
        viewer().getHierarchy().getSelectionModel().setSelectedObjects(shown, null)
    }
    def window = { fx { Window.getWindows().find { it.hasProperty('title') && it.getTitle() == 'WSI-SAM: find more like this' } } }
    def said = { fx { window()?.getScene()?.lookup('#wsisam-like-said')?.getText() } ?: '' }
    def slide = { double value -> fx { (window().getScene().lookup('#wsisam-like-slider') as Slider).setValue(value) } }
    def found = { annotations().findAll { !shown.any { one -> one.is(it) } } }
    /** Lets the test look at the server. */
    def mark = { String name ->
        def file = new File(System.getProperty('drive.marks'), name)
        file.text = ''
        until('the test to have looked') { !file.exists() }
    }
    def menu = fx { qupath.getMenu('Extensions>WSI-SAM', false).getItems().find { it.getText() == 'Find more like this' } }
    fx { menu.fire() }
    until('proposals') { said().contains('Click one') }
    seen.said = [said()]
    picture('like')
    slide(0.95)
    seen.said << said()
    slide(0.15)
    seen.said << said()
    // A proposal under the pointer: one of those that were not shown to it.
    def overlay = fx { viewer().getCustomOverlayLayers().find { it.getClass().getSimpleName() == 'LikeOverlay' } }
    def at = cells.drop(3).find { x, y -> fx { overlay.at(x, y) } != null }
    click(at[0], at[1])
    until('it to be rejected') { said().contains('1 rejected') }
    picture('rejected')
    seen.rejected = at
    mark('first')
    press(KeyCode.ENTER)
    until('it to be taken') { !found().isEmpty() }
    seen.taken = plain(found())
    picture('taken')
    press(KeyCode.ENTER, KeyCode.SHIFT)
    until('the second round') { said().contains('Click one') }
    mark('second')
    seen.again = said()
    seen.shownAgain = fx { overlay.at(at[0], at[1]) } != null
    picture('again')
    seen.steps = fx { viewer().getImageData().getHistoryWorkflow().getSteps().collect { it.getName() }.findAll { it.startsWith('WSI-SAM') } }
    fx { window().close() }
    until('its thread to end') { ourThreads().isEmpty() }
    seen.overlays = fx { viewer().getCustomOverlayLayers().size() }
    // Nothing selected, nothing accepted: it says so.
    fx {
        viewer().getHierarchy().getSelectionModel().clearSelection()
        viewer().getHierarchy().clearAll()
        viewer().getImageData().getHistoryWorkflow().clear()
    }
    fx { menu.fire() }
    until('words') { said().contains('Select annotations') }
    seen.nothing = said()
    fx { window().close() }
    sleep(500)
    seen.left = ourThreads()
    fx { viewer().getImageData().setChanged(false) }
}
