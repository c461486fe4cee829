// A QuPath that knows nothing of any server: an invitation is dropped on its window, and an object is outlined.
import javafx.stage.Window

go {
    open(System.getProperty('drive.image'))
    def handle = qupath.getDefaultDragDropListener().getClass().getDeclaredMethods().find { it.getName() == 'handleFileDrop' }
    handle.setAccessible(true)
    def drop = { String file -> fx { handle.invoke(qupath.getDefaultDragDropListener(), viewer(), [new File(file)]) } }
    def window = { fx { Window.getWindows().find { it.hasProperty('title') && it.getTitle() == 'WSI-SAM: server' } } }
    def said = { fx { window().getScene().lookup('#wsisam-server-said').getText() } }
    drop(System.getProperty('drive.damaged'))
    def refused = { seen.notes.any { it.contains('no invitation') } }
    try {
        until('the scripts, and that it is none', refused)
    } catch (IllegalStateException slow) {          // the first start compiles
        until('that it is none', refused)
    }
    seen.afterDamaged = run('io.wsisam.script.Settings.user().tokenFile()')
    drop(System.getProperty('drive.invitation'))
    until('the window') { window() != null }
    until('the answer') { !said().startsWith('Asking') }
    seen.said = said()
    picture('invited')
    fx { window().close() }
    fx { qupath.getMenu('Extensions>WSI-SAM', false).getItems()[0].fire() }
    until('the palette') { palette() != null }
    fx { palette().setX(0d); palette().setY(0d) }
    until('the server') { says('Ready: ') }
    drag(134, 134, 266, 266)
    until('an outline') { says('score') }
    press(KeyCode.ENTER)
    until('the annotation') { annotations().size() == 1 }
    seen.accepted = plain(annotations())
    seen.tokenFile = run('io.wsisam.script.Settings.user().tokenFile()')
}
