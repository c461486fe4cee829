// No server answers: one is started on this computer, by mouse and keys alone. Each action of the user is counted.
import javafx.stage.Window

go {
    seen.actions = 0
    def act = { String what, Closure work ->
        seen.actions++
        work()
    }
    def named = { String title -> fx { Window.getWindows().find { it.hasProperty('title') && it.getTitle() == title } } }
    def pressOn = { Closure found ->
        def place = fx {
            def node = found()
            def bounds = node.localToScreen(node.getBoundsInLocal())
            [bounds.getCenterX(), bounds.getCenterY()]
        }
        fx { robot.mouseMove(place[0], place[1]) }
        settle()
        fx { robot.mousePress(MouseButton.PRIMARY) }
        settle()
        fx { robot.mouseRelease(MouseButton.PRIMARY) }
        settle()
    }
    def offer = { palette().getScene().lookup('#wsisam-start-local') }
    def local = { named('WSI-SAM: on this computer') }
    def said = { fx { local()?.getScene()?.lookup('#wsisam-local-said')?.getText() } ?: '' }

    server('127.0.0.1:1')
    act('open the image') { open(System.getProperty('drive.image')) }
    fx { viewer().getView().requestFocus() }
    settle()
    act('the click tool') { press(KeyCode.Q) }
    until('the palette') { palette() != null }
    fx { palette().setX(0d); palette().setY(0d) }
    until('the offer') { fx { offer().isVisible() } }
    picture('local_offer')
    act('the offer') { pressOn(offer) }
    until('its window') { local() != null }
    seen.folders = fx { local().getScene().lookup('#wsisam-local-folders').getText() }
    sleep(500)
    picture('local_window')
    act('start') { pressOn { local().getScene().lookup('#wsisam-local-start') } }
    seen.stages = []
    until('the server') {
        def stage = said().takeWhile { it != '\u2026' }
        if (stage && !(stage in seen.stages))
            seen.stages << stage
        if (seen.stages.size() == 3 && !seen.pictured) {
            seen.pictured = true
            picture('local_loading')
        }
        says('Ready: ')
    }
    seen.offered = fx { offer().isVisible() }
    act('a box') { drag(134, 134, 266, 266) }
    until('an outline') { says('score') }
    act('accept') { press(KeyCode.ENTER) }
    until('the annotation') { annotations().size() == 1 }
    picture('local_accepted')
    seen.accepted = plain(annotations())
}
