// WsiSamEverything.groovy as a user runs it: from the script editor, with the progress window, Cancel, and 'Run for project'.
import javafx.application.Platform
import javafx.scene.control.Button
import javafx.scene.control.MenuBar
import javafx.scene.control.ProgressIndicator
import javafx.stage.Window
import org.controlsfx.control.ListSelectionView
import qupath.lib.objects.PathObjects
import qupath.lib.projects.ProjectIO
import qupath.lib.roi.ROIs

import java.awt.image.BufferedImage

/** What a window shows; null when there is no such window. */
def window = { String part -> fx { Window.getWindows().find { it.isShowing() && it.getScene()?.getRoot()?.lookupAll('.label')?.any { it.getText()?.contains(part) } } } }
def labels = { shown -> shown == null ? [] : fx { shown.getScene().getRoot().lookupAll('.label')*.getText().findAll { it } } }
def button = { shown, String text -> fx { shown.getScene().getRoot().lookupAll('.button').find { it instanceof Button && it.isVisible() && it.getText() == text } } }
def fire = { shown, String text ->
    def found = button(shown, text)
    Platform.runLater { found.fire() }          // it may open a window, and wait there
}
/** Runs the script with other parameters at its top. */
def runInEditor = { Map parameters, String item ->
    def text = new File(System.getProperty('drive.script')).text
    parameters.each { name, value -> text = text.replaceFirst(/(?m)^(    ${name} *: )[^,]*,/) { all, start -> "${start}${value}," } }
    fx { qupath.getScriptEditor().showScript("Everything ${parameters.hashCode()}", text) }
    def menus = { fx { Window.getWindows().findResult { it.getScene()?.getRoot()?.lookupAll('.menu-bar')?.find { it instanceof MenuBar && it.getMenus()*.getText().contains('Language') } } } }
    until('the script editor') { menus() != null }
    def found = fx { menus().getMenus().collectMany { it.getItems() }.find { it.getText() == item } }
    until('the script before to end') { fx { !found.isDisable() } }
    Platform.runLater { found.fire() }
}
/** What the script says in the end. */
def said = { Closure work ->
    def before = seen.notes.size()
    work()
    until('a note') { seen.notes.size() > before }
    seen.notes.last()
}
def children = { hierarchy, String className -> plain(hierarchy.getAnnotationObjects().findAll { it.getPathClass()?.toString() == className }) }
def select = { chosen -> fx { viewer().getHierarchy().getSelectionModel().setSelectedObjects(chosen, null) } }

go {
    def project = fx { ProjectIO.loadProject(new File(System.getProperty('drive.project')), BufferedImage) }
    fx { qupath.setProject(project) }
    server(System.getProperty('drive.server'))
    def first = project.getImageList()[0]
    fx { qupath.openImageEntry(first) }
    until('the image') { viewer().getImageData() != null }
    fx { viewer().zoomToFit() }

    // Cancelled when something was found.
    def whole = PathObjects.createAnnotationObject(ROIs.createRectangleROI(0, 0, 900, 700, viewer().getImagePlane()))
    fx { viewer().getHierarchy().addObject(whole) }
    select([whole])
    runInEditor([minSize: 70, maxSize: 150, className: "'Cut'"], 'Run')
    until('the progress window') { window('WSI-SAM: proposing objects') != null }
    seen.bar = fx { window('WSI-SAM: proposing objects').getScene().getRoot().lookupAll('.progress-bar').any { it instanceof ProgressIndicator } }
    seen.progress = []
    until('an object') {
        def line = labels(window('WSI-SAM: proposing objects')).find { it.contains(' windows, ') }
        if (line && !(line in seen.progress))
            seen.progress << line
        line != null && !line.contains(', 0 objects')
    }
    picture('progress')
    def end = said { fire(window('WSI-SAM: proposing objects'), 'Cancel') }
    seen.cancelled = [note: end, found: children(viewer().getHierarchy(), 'Cut').size(), parents: fx { whole.getChildObjects().size() }]
    until('the progress window to close') { window('WSI-SAM: proposing objects') == null }
    picture('cancelled')

    // To its end, in what was selected.
    fx { viewer().getHierarchy().removeObject(whole, false) }
    select(annotations().findAll { it.getName() == 'a' })
    end = said { runInEditor([minSize: 70, maxSize: 150, className: "'Selected'"], 'Run') }
    seen.selected = [note: end, found: children(viewer().getHierarchy(), 'Selected')]
    select([])
    seen.nothing = said { runInEditor([minSize: 70], 'Run') }

    // For a project: QuPath opens each image itself, and saves it.
    first.saveImageData(viewer().getImageData())
    runInEditor([which: "'class:Stroma'", minSize: 70, maxSize: 150, className: "'Batch'"], 'Run for project')
    def choice = { fx { Window.getWindows().findResult { it.isShowing() ? it.getScene()?.getRoot()?.lookupAll('.list-selection-view')?.find { it instanceof ListSelectionView } : null } } }
    until('the choice of images') { choice() != null }
    def chosen = fx {
        def list = choice()
        list.getTargetItems().addAll(list.getSourceItems())
        list.getSourceItems().clear()
        list.getScene().getWindow()
    }
    picture('choice')
    fire(chosen, 'OK')
    until('the batch') { window('Batch processing...') != null }
    until('the question') { window('Refresh open images?') != null }
    picture('batch')
    fire(window('Refresh open images?'), 'Yes')
    until('the batch to end') { window('Batch processing...') == null && children(viewer().getHierarchy(), 'Batch').size() > 0 }
    seen.batch = project.getImageList().collect { children(it.readHierarchy(), 'Batch') }
    seen.shown = children(viewer().getHierarchy(), 'Batch').size()
    sleep(1000)
    seen.left = ourThreads()
    fx { viewer().getImageData().setChanged(false) }
}
