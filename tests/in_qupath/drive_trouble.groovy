// WsiSamClicks.groovy when it does not go smoothly: answers that come late, images that are left before, servers that refuse
// or are not there. While the file -Ddrive.gate exists, the server answers no prompt.
import javafx.event.ActionEvent
import javafx.scene.control.TextField
import qupath.lib.images.servers.ImageServerProvider
import qupath.lib.projects.Projects

import java.awt.image.BufferedImage

def gate = new File(System.getProperty('drive.gate'))
def hold = { gate.text = '' }
def release = { gate.delete() }
def note = { String part -> until("the note '${part}'") { seen.notes.any { it.contains(part) } } }
def inA = { drag(134, 134, 266, 266) }
def inB = { drag(504, 154, 696, 346) }
def inC = { drag(299, 469, 401, 571) }

def project
def addImage = { String file ->
    def entry = project.addImage(ImageServerProvider.getPreferredUriImageSupport(BufferedImage, file).getBuilders()[0])
    entry.setImageName(new File(file).getName())
    entry
}
/** Shows an image of the project, after what the viewer shows was saved. */
def show = { entry ->
    fx {
        def shown = viewer().getImageData()
        if (shown != null)
            project.getEntry(shown).saveImageData(shown)
        qupath.openImageEntry(entry)
    }
    until('the image') { viewer().getImageData() != null && project.getEntry(viewer().getImageData()) == entry }
    fx { viewer().zoomToFit() }
    sleep(500)
}
def stored = { entry -> plain(entry.readHierarchy().getAnnotationObjects().toList()) }
def button = { String text -> fx { palette().getScene().getRoot().lookupAll('.button').find { it.getText().startsWith(text) } } }
/** Enter, which makes room for the next object; the outline may come later. */
def accept = {
    until('something to accept') { !button('Accept').isDisabled() }
    press(KeyCode.ENTER)
    until('it to be accepted') { button('Accept').isDisabled() }
}
/** Types an address into the palette. */
def useServer = { String address ->
    fx {
        def field = palette().getScene().getRoot().lookupAll('.text-field').find { it.getClass() == TextField && it.getText().contains(':') }
        field.setText(address)
        field.fireEvent(new ActionEvent())
    }
}

go {
    project = fx { Projects.createProject(new File(System.getProperty('drive.project')), BufferedImage) }
    def first = addImage(System.getProperty('drive.first'))
    def second = addImage(System.getProperty('drive.second'))
    fx { qupath.setProject(project) }
    server(System.getProperty('drive.server'))
    show(first)
    openPalette()
    until('the server') { says('Ready: ') }
    // A slow server: the window lives, clicks are kept, and nothing is there before its time.
    hold()
    inA()
    click(200, 200)
    accept()
    inB()
    accept()
    def asked = System.currentTimeMillis()
    fx { }
    seen.slow = [windowMs: System.currentTimeMillis() - asked, annotations: annotations().size()]
    picture('waiting')
    release()
    until('both') { annotations().size() == 2 }
    seen.late = plain(annotations())

    // Another image is opened before the answer.
    hold()
    inC()
    accept()
    inA()                                       // never accepted
    show(second)
    note('not accepted, so it was dropped')
    release()
    note('the object was added to it in the project')
    seen.left = [shown: annotations().size(), first: stored(first)]

    // The viewer is closed before the answer.
    def other = viewer()
    fx { qupath.getViewerManager().addColumn(other) }
    def fresh = qupath.getAllViewers().find { it.getImageData() == null }
    fx { qupath.getViewerManager().setActiveViewer(fresh) }
    show(first)
    seen.reopened = annotations().size()
    until('the server') { says('Ready: ') }
    hold()
    inA()
    accept()
    def notes = seen.notes.size()
    fx {
        fresh.getImageData().setChanged(false)      // else QuPath asks whether to save
        qupath.closeViewer(fresh)
        qupath.getViewerManager().setActiveViewer(other)
        qupath.getViewerManager().removeColumn(fresh)
    }
    release()
    until('the object in the project') { seen.notes.drop(notes).any { it.contains('the object was added to it in the project') } }
    seen.closed = [viewers: qupath.getAllViewers().size(), shown: annotations().size(), first: stored(first)*.name]
    settle()
    fx { viewer().zoomToFit() }

    // A server that lets only those in whom it knows.
    useServer(System.getProperty('drive.refusing'))
    note('has no token')
    inA()
    accept()
    sleep(1000)
    seen.refused = [annotations: annotations().size(), said: texts()[0]]
    picture('refused')
    run("io.wsisam.script.Settings.user().tokenFile('${System.getProperty('drive.token')}')")
    fx { button('Retry').fire() }
    until('the object, with a token') { annotations().size() == 1 }
    seen.known = [annotations: annotations().size(), said: texts()[0]]

    // No server at all.
    useServer('127.0.0.1:1')
    note('No server answers')
    inB()
    accept()
    sleep(1000)
    seen.away = [annotations: annotations().size(), said: texts()[0]]
    picture('away')
    run("io.wsisam.script.Settings.user().tokenFile('')")       // this server knows no tokens, so it would refuse it
    useServer(System.getProperty('drive.server'))
    until('the object, from the server that is there') { annotations().size() == 2 }
    sleep(500)
    seen.back = annotations().size()
    project.syncChanges()
    fx { palette().close() }
    until('the threads to end') { ourThreads().isEmpty() }
}
