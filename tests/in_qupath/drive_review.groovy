// WsiSamReview.groovy, run by the menu: three annotations are looked through.
import qupath.lib.objects.PathObjects
import qupath.lib.objects.classes.PathClass
import qupath.lib.roi.ROIs
import qupath.lib.regions.ImagePlane
import javafx.scene.input.KeyCombination
import javafx.stage.Window

go {
    open(System.getProperty('drive.image'))
    def add = { String name, double x, double y, double r ->
        def one = PathObjects.createAnnotationObject(ROIs.createEllipseROI(x - r, y - r, 2 * r, 2 * r, ImagePlane.getDefaultPlane()), PathClass.fromString('Tumor'))
        one.setName(name)
        fx { viewer().getHierarchy().addObject(one) }
    }
    add('low', 350, 520, 50)
    add('left', 200, 200, 60)
    add('right', 600, 250, 90)
    def menu = fx { qupath.getMenu('Extensions>WSI-SAM', false) }
    seen.taken = ['U', 'Shift+U', 'T', 'Q'].collectEntries { String name ->
        [name, fx { qupath.lookupAccelerator(KeyCombination.valueOf(name)) }?.toString() ?: 'nobody']
    }
    def window = { fx { Window.getWindows().find { it.hasProperty('title') && it.getTitle() == 'WSI-SAM: review' } } }
    def left = { fx { window()?.getScene()?.lookup('#wsisam-review-left')?.getText() } }
    def selected = { fx { viewer().getSelectedObject()?.getName() } }
    fx { menu.getItems().find { it.getText() == 'Review' }.fire() }
    until('the review') { window() != null && left() != null }
    seen.left = [left()]
    seen.order = [selected()]
    def roi = fx { viewer().getSelectedObject().getROI() }
    seen.share = fx { roi.getBoundsWidth() / viewer().getDownsampleFactor() / Math.min(viewer().getView().getWidth(), viewer().getView().getHeight()) }
    picture('review')
    press(KeyCode.U)
    seen.order << selected()
    press(KeyCode.U, KeyCode.SHIFT)
    seen.order << selected()
    press(KeyCode.ENTER)
    until('the next one') { selected() == 'right' }
    seen.left << left()
    press(KeyCode.DELETE)
    until('the last one') { selected() == 'low' }
    press(KeyCode.DIGIT0)
    sleep(300)
    seen.left << left()
    seen.reviewed = plain(annotations())
    fx { window().close() }
    fx { menu.getItems().find { it.getText() == 'Review' }.fire() }
    until('the rest') { left() == '1 of 1 left' }
    press(KeyCode.ENTER)
    until('the end') { left()?.startsWith('0 of 1') }
    fx { window().close() }
    press(KeyCode.U)
    seen.atEnd = plain(annotations())
}
