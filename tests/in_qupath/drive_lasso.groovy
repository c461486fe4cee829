// A rough loop about an object, and the wheel that steps through sizes, in a window.
import javafx.scene.control.ToggleButton
import javafx.scene.input.KeyCombination

go {
    server(System.getProperty('drive.server'))
    open(System.getProperty('drive.image'))
    def script = new File(System.getProperty('drive.script')).text
    def ours = (script =~ /(?m)^ {4}[A-Z_]+ *: \[(.*?)\]/).collect { (it[1] =~ /'(.+?)'/).collect { key -> key[1] } }.flatten()
    seen.keys = ours.collectEntries { String name -> [name, fx { qupath.lookupAccelerator(KeyCombination.valueOf(name)) }?.getText() ?: 'nobody'] }

    def place = { [viewer().getCenterPixelX(), viewer().getCenterPixelY(), viewer().getDownsampleFactor()] }
    def opacity = { qupath.getOverlayOptions().getOpacity() }
    def wheel = { int notches, KeyCode key = null ->
        holding(key) {
            Math.abs(notches).times {
                fx { robot.mouseWheel(notches < 0 ? -1 : 1) }
                sleep(250)
                settle()
            }
        }
    }
    /** What one notch up does: [by how much the zoom changes, whether the opacity changes]. It is turned back. */
    def notch = { KeyCode key = null ->
        def before = [place()[2], opacity()]
        wheel(-1, key)
        def after = [place()[2], opacity()]
        wheel(1, key)
        [zoom: after[0] / before[0], opacity: after[1] != before[1]]
    }
    move(400, 300)
    fx { viewer().setDownsampleFactor(2, -1, -1) }
    fx { qupath.getOverlayOptions().setOpacity(0.5f) }
    seen.alone = [plain: notch(), alt: notch(KeyCode.ALT), control: notch(KeyCode.CONTROL)]
    fx { viewer().zoomToFit() }
    settle()

    openPalette()
    until('the server') { says('Ready: ') }
    fx { viewer().getView().requestFocus() }

    // A loop as of a hurried hand about disc b: an egg of sixteen vertices, moved aside. It ends where it began.
    def loop = { double cx, double cy, double r, KeyCode key = null, Closure meanwhile = {} ->
        def at = { int i -> [cx + r * 0.08 + r * 1.12 * Math.cos(i * Math.PI / 8), cy - r * 0.06 + r * 0.9 * Math.sin(i * Math.PI / 8)] }
        seen.loop = (0..<16).collect { at(it) }
        sleep(600)
        move(*at(0))
        holding(key) {
            fx { robot.mousePress(MouseButton.PRIMARY) }
            settle()
            (1..16).each {
                if (it == 12)
                    meanwhile()
                move(*at(it))
            }
            fx { robot.mouseRelease(MouseButton.PRIMARY) }
            settle()
        }
    }
    def before = place()
    loop(600, 250, 80, KeyCode.SHIFT) { picture('lasso_drawing') }
    until('the outline of a loop') { status().startsWith('shape \u2013 score') }
    seen.afterLoop = [status: status(), annotations: annotations().size(), moved: place() != before, loop: seen.loop]
    picture('lasso_preview')
    click(600, 250)
    until('a click more') { status().startsWith('shape, 1 positive \u2013 score') }
    seen.afterClick = status()
    press(KeyCode.BACK_SPACE)
    until('the loop alone') { status().startsWith('shape \u2013 score') }
    press(KeyCode.ENTER)
    until('the annotation') { annotations().size() == 1 && says('Click on an object') }
    seen.accepted = plain(annotations())
    loop(350, 520, 40, KeyCode.SHIFT)
    until('another loop') { status().startsWith('shape \u2013 score') }
    press(KeyCode.BACK_SPACE)
    until('nothing') { says('Click on an object') }
    seen.undone = annotations().size()

    // A click with Shift that does not move stays a click; a line is no loop.
    click(200, 200, KeyCode.SHIFT)
    until('a click') { status().startsWith('1 positive') && says('score') }
    press(KeyCode.ESCAPE)
    drag(100, 500, 180, 500, KeyCode.SHIFT)
    until('that a line holds nothing') { seen.notes.any { it.contains('holds nothing') } }
    seen.afterLine = says('Click on an object')

    // The palette's button: loops without Shift, and clicks count.
    def button = { String text -> fx { palette().getScene().getRoot().lookupAll('.toggle-button').find { it instanceof ToggleButton && it.getText().contains(text) } } }
    fx { button('Lasso').fire() }
    fx { viewer().getView().requestFocus() }
    loop(350, 520, 40)
    until('a loop by the button') { status().startsWith('shape \u2013 score') }
    click(350, 520)
    until('a click beside it') { status().startsWith('shape, 1 positive \u2013 score') }
    picture('lasso_button')
    press(KeyCode.ESCAPE)
    until('nothing again') { says('Click on an object') }
    fx { button('Positive').fire() }
    fx { viewer().getView().requestFocus() }

    // The wheel. Which click means more than one object, the model's weights decide.
    def ambiguous = [[350d, 520d], [600d, 250d], [670d, 250d], [600d, 330d], [240d, 230d], [385d, 520d]].find { at ->
        click(at[0], at[1])
        until('an outline of the click') { status().startsWith('1 positive') && says('score') }
        boolean several = status().contains(' of ')
        if (!several)
            press(KeyCode.ESCAPE)
        several
    }
    if (ambiguous == null)
        throw new IllegalStateException('no click has candidates')
    while (!status().contains(' 1 of ')) {
        press(KeyCode.J)
        sleep(300)
    }
    def smallest = status()
    press(KeyCode.K)
    until('a larger one') { status() != smallest }
    seen.byKeys = [smallest, status()]
    before = place() + [opacity()]
    wheel(1, KeyCode.ALT)
    def down = status()
    wheel(-1, KeyCode.ALT)
    seen.byWheel = [down, status()]
    fx { PathPrefs.useScrollGesturesProperty().set(true) }          // QuPath moves the image with the wheel
    wheel(1, KeyCode.ALT)
    seen.byWheelWithGestures = status()
    wheel(-1, KeyCode.ALT)
    fx { PathPrefs.useScrollGesturesProperty().set(false) }
    seen.wheelMoved = (place() + [opacity()]) != before
    seen.focus = fx { qupath.getStage().getScene().getFocusOwner().is(viewer().getView()) }
    picture('wheel')
    seen.stillZooms = notch()
    press(KeyCode.ENTER)
    until('the candidate as an annotation') { annotations().size() == 2 && says('Click on an object') }
    seen.candidate = plain(annotations())[-1]
    seen.nothingDrawn = notch(KeyCode.ALT)
    fx { palette().close() }
    until('the threads to end') { ourThreads().findAll { !(it in ['wsisam-compiler']) }.isEmpty() }
    seen.closed = notch(KeyCode.ALT)
}
