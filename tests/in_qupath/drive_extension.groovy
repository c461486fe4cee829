// The jar as an extension: its menu, its button and its key, in the window of a QuPath that has seen nothing of it before.
import javafx.scene.control.Menu
import javafx.scene.control.SeparatorMenuItem
import javafx.stage.Window

go {
    def menu = { fx { qupath.getMenu('Extensions>WSI-SAM', false) } }
    def items = { fx { menu().getItems().findAll { !(it instanceof SeparatorMenuItem) }*.getText() } }
    def fire = { String text -> fx { menu().getItems().find { it.getText() == text }.fire() } }
    def tool = { qupath.getToolManager().getSelectedTool().getName() }
    until('the menu') { menu() != null }
    seen.items = items()
    seen.classesBefore = new File(System.getProperty('drive.user'), 'wsisam-classes').list()?.toList() ?: []
    server(System.getProperty('drive.server'))
    open(System.getProperty('drive.image'))
    picture('before')

    long start = System.currentTimeMillis()
    fire('Click tool')
    until('the palette') { palette() != null }
    seen.paletteMs = System.currentTimeMillis() - start
    fx { palette().setX(0d); palette().setY(0d) }
    until('the server') { says('Ready: ') }
    seen.editors = fx { Window.getWindows().collect { it.hasProperty('title') ? it.getTitle() : '' }.findAll { it?.contains('Script') } }
    seen.tool = tool()
    drag(134, 134, 266, 266)
    until('an outline') { says('score') }
    press(KeyCode.ENTER)
    until('the annotation') { annotations().size() == 1 }
    picture('menu_palette')
    fx { qupath.getStage().requestFocus(); viewer().getView().requestFocus() }
    press(KeyCode.Q)
    until('another tool') { tool() == 'Move' }
    sleep(500)
    press(KeyCode.Q)
    until('the click tool again') { tool() == 'WSI-SAM' }
    fx { qupath.getToolManager().setSelectedTool(PathTools.MOVE) }
    fx { qupath.getToolBar().getItems().find { it.getId() == 'wsisam-button' }.fire() }
    until('the button to select the tool') { tool() == 'WSI-SAM' }

    fire('Server...')
    def serverWindow = { fx { Window.getWindows().find { it.hasProperty('title') && it.getTitle() == 'WSI-SAM: server' } } }
    until('the window') { serverWindow() != null }
    def said = { fx { serverWindow().getScene().lookup('#wsisam-server-said').getText() } }
    until('the answer') { said().startsWith('Connected') }
    seen.server = said()
    picture('server')
    fx { serverWindow().getScene().lookup('#wsisam-server-address').setText('127.0.0.1:1'); serverWindow().getScene().lookup('#wsisam-server-connect').fire() }
    until('the palette to follow') { says('127.0.0.1:1') }
    seen.unreachable = said()
    fx { serverWindow().close() }
    fire('Help')
    until('the help') { fx { Window.getWindows().any { it.hasProperty('title') && it.getTitle() == 'WSI-SAM: help' } } }
    sleep(1500)
    picture('help')
    fx { Window.getWindows().find { it.hasProperty('title') && it.getTitle() == 'WSI-SAM: help' }.close() }

    server(System.getProperty('drive.server'))
    fx { viewer().getHierarchy().clearAll() }
    def region = qupath.lib.objects.PathObjects.createAnnotationObject(
        qupath.lib.roi.ROIs.createRectangleROI(110, 110, 180, 180, qupath.lib.regions.ImagePlane.getDefaultPlane()))
    fx { viewer().getHierarchy().addObject(region); viewer().setSelectedObject(region) }
    fire('All objects...')
    def sizes = { fx { Window.getWindows().find { it.hasProperty('title') && it.getTitle() == 'WSI-SAM: all objects' } } }
    until('the question') { sizes() != null }
    picture('sizes')
    fx {
        def fields = sizes().getScene().getRoot().lookupAll('.text-field').findAll { it instanceof javafx.scene.control.TextField && !(it.getParent() instanceof javafx.scene.control.ComboBox) }
        fields[0].setText('60')
        fields[1].setText('150,0')
    }
    fx { sizes().getScene().getRoot().lookupButton(javafx.scene.control.ButtonType.OK).fire() }
    until('all objects') { annotations().size() > 1 }
    seen.all = plain(annotations())
    fx { viewer().getHierarchy().clearAll() }

    fire('Outline annotations anew')
    until('what it says') { seen.notes.any { it.contains('no annotation is selected') } }
    fx { palette().close() }
    until('the threads to end') { !ourThreads().any { it.startsWith('wsisam-c') } }

    def own = new File(System.getProperty('drive.user'), 'scripts/WSI-SAM/WsiSamClicks.groovy')
    def before = own.getText('UTF-8')
    own.setText("org.slf4j.LoggerFactory.getLogger('WSI-SAM').info('my own script: ' + (getCurrentImageData() != null))", 'UTF-8')
    fx { menu().show() }
    settle()
    seen.itemsWithOwn = items()
    fx { menu().hide() }
    fire(seen.itemsWithOwn[0])
    until('the own script') { seen.notes.any { it.startsWith('my own script') } }
    own.setText(before, 'UTF-8')
    fx { menu().show(); menu().hide() }
    seen.itemsAfter = items()
    seen.classes = new File(System.getProperty('drive.user'), 'wsisam-classes').list()?.toList() ?: []
}
