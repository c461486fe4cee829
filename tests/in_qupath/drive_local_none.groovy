// No server answers and no installation is noted: the palette's offer says how to get one.
import javafx.stage.Window

go {
    open(System.getProperty('drive.image'))
    server('127.0.0.1:1')
    fx { qupath.getMenu('Extensions>WSI-SAM', false).getItems()[0].fire() }
    until('the palette') { palette() != null }
    fx { palette().setX(0d); palette().setY(0d) }
    def offer = { palette().getScene().lookup('#wsisam-start-local') }
    until('the offer') { fx { offer().isVisible() } }
    fx { offer().fire() }
    def window = { fx { Window.getWindows().find { it.hasProperty('title') && it.getTitle() == 'WSI-SAM: on this computer' } } }
    until('its window') { window() != null }
    sleep(500)
    picture('local_none')
    seen.said = fx { window().getScene().getRoot().getChildrenUnmodifiable().findAll { it instanceof Labeled }*.getText() }
    seen.start = fx { window().getScene().lookup('#wsisam-local-start') != null }
}
