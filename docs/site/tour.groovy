// The pictures of docs/tutorials/first-outline.md, in their order; docs/site/pictures.py runs it in a real QuPath.
import javafx.stage.Window
import qupath.lib.images.servers.ImageServerProvider
import qupath.lib.objects.classes.PathClass
import qupath.lib.projects.Projects

import java.awt.image.BufferedImage

go {
    def window = { String title -> fx { Window.getWindows().find { it.hasProperty('title') && it.getTitle() == title } } }
    def look = { double x, double y, double downsample ->
        fx {
            viewer().setDownsampleFactor(downsample)
            viewer().setCenterPixelLocation(x, y)
        }
        sleep(2500)         // its tiles are read
    }
    fx {
        qupath.getAvailablePathClasses().add(0, PathClass.fromString('Papilla', 0x2E7D32))
        qupath.getAvailablePathClasses().add(0, PathClass.fromString('Hair follicle', 0x1565C0))
    }
    def ofClass = { String name -> fx { palette().getScene().lookup('#wsisam-class').setValue(name) } }
    def project = Projects.createProject(new File(System.getProperty('drive.project')), BufferedImage)
    def slide = new File(System.getProperty('drive.image'))
    def entry = project.addImage(ImageServerProvider.getPreferredUriImageSupport(BufferedImage, slide.getPath()).getBuilders()[0])
    entry.setImageName(slide.getName())
    project.syncChanges()
    fx { qupath.setProject(project) }
    fx { qupath.openImageEntry(entry) }
    until('the image') { viewer().getImageData() != null }
    look(1300, 2150, 1.6)

    def handle = qupath.getDefaultDragDropListener().getClass().getDeclaredMethods().find { it.getName() == 'handleFileDrop' }
    handle.setAccessible(true)
    fx { handle.invoke(qupath.getDefaultDragDropListener(), viewer(), [new File(System.getProperty('drive.invitation'))]) }
    until('the window') { window('WSI-SAM: server') != null }
    until('the answer') { fx { window('WSI-SAM: server').getScene().lookup('#wsisam-server-said').getText() }.startsWith('Connected') }
    sleep(8000)         // QuPath's notification is gone
    picture('tour-invited')
    fx { window('WSI-SAM: server').close() }

    fx { qupath.getMenu('Extensions>WSI-SAM', false).getItems()[0].fire() }
    until('the palette') { palette() != null }
    until('the server') { says('Ready: ') }
    ofClass('Hair follicle')
    drag(1180, 1960, 1365, 2190)
    until('an outline') { says('score') }
    picture('tour-outline')

    press(KeyCode.ENTER)
    until('the annotation') { annotations().size() == 1 }
    look(1650, 2608, 1.1)
    ofClass('Papilla')
    click(1642, 2750)
    until('an outline of a click') { status().startsWith('1 positive') && says('score') }
    click(1640, 2845, KeyCode.ALT)
    until('the corrected outline') { status().startsWith('1 positive, 1 negative') && says('score') }
    picture('tour-clicks')
    press(KeyCode.ENTER)
    until('both annotations') { annotations().size() == 2 }
    look(1400, 2400, 2.2)
    def kept = { fx { palette().getScene().lookup('#wsisam-kept').getText() } }
    until('the store') { kept().contains('kept') && annotations().every { it.getMetadata().containsKey('wsisam.id') } }
    picture('tour-kept')

    fx { qupath.getMenu('Extensions>WSI-SAM', false).getItems().find { it.getText() == 'Sync project' }.fire() }
    until('the sync') { seen.notes.any { it.contains('unchanged') || it.contains('synced') || it.contains(slide.getName()) } }
    sleep(1500)
    picture('tour-synced')
    seen.kept = kept()
}
