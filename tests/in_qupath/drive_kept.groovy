// Two windows, two users, one slide. They meet by files in -Ddrive.meet. -Ddrive.again: anna's window, opened again after it was
// killed.
import qupath.lib.objects.hierarchy.events.PathObjectHierarchyListener
import qupath.lib.projects.ProjectIO

import java.awt.image.BufferedImage
import java.util.concurrent.ConcurrentHashMap

go {
    def who = System.getProperty('user.name'), other = who == 'anna' ? 'ben' : 'anna'
    def folder = new File(System.getProperty('drive.meet'))
    def tell = { String what, long at = System.currentTimeMillis() ->
        def part = new File(folder, ".${who}-${what}".toString())
        part.text = at.toString()
        part.renameTo(new File(folder, "${who}-${what}".toString()))
    }
    def hear = { String by, String what ->
        def file = new File(folder, "${by}-${what}".toString())
        long end = System.currentTimeMillis() + 400_000
        while (!file.exists()) {
            if (System.currentTimeMillis() > end)
                throw new IllegalStateException("${by} never said ${what}; the palette says ${texts()}; notes ${seen.notes}; errors ${seen.errors}")
            sleep(50)
        }
        file.text as long
    }
    def meet = { String what ->
        tell(what)
        hear(other, what)
    }
    def named = { String name -> annotations().find { it.getName() == name } }
    def models = { annotations().findAll { it.getMetadata().containsKey('wsisam.model') } }
    def kept = { models().every { it.getMetadata().containsKey('wsisam.id') } }
    def keptText = { fx { palette().getScene().lookup('#wsisam-kept').getText() } }

    server(System.getProperty('drive.server'))
    def project = ProjectIO.loadProject(new File(System.getProperty('drive.project')), BufferedImage)
    fx { qupath.setProject(project) }
    def entry = project.getImageList()[0]
    fx { qupath.openImageEntry(entry) }
    until('the image') { viewer().getImageData() != null }
    // When an annotation came, without waiting for the window's thread.
    def came = new ConcurrentHashMap<UUID, Long>()
    def hierarchy = viewer().getHierarchy()
    hierarchy.addListener({ event -> hierarchy.getAnnotationObjects().each { came.putIfAbsent(it.getID(), System.currentTimeMillis()) } } as PathObjectHierarchyListener)
    def theirs = { annotations().findAll { it.getMetadata().containsKey('wsisam.author') } }
    def save = { fx { entry.saveImageData(viewer().getImageData()) } }
    openPalette()
    until('the server') { says('Ready: ') }
    def watch = { fx { palette().getScene().lookup('#wsisam-watch') } }
    until('the store') { !watch().isDisabled() }
    seen.remembered = watch().isSelected()

    if (Boolean.getBoolean('drive.again')) {
        until('what was on its way') { models().size() == 3 && kept() }
        until('an empty outbox') { keptText().startsWith('What you accept is kept') }
        save()
        tell('again')
        hear('ben', 'end')
        sleep(3000)
        seen.last = plain(annotations())
        return
    }
    fx { watch().fire() }
    meet('ready')

    who == 'anna' ? drag(134, 134, 266, 266) : drag(504, 154, 696, 346)
    until('an outline') { says('score') }
    meet('drawn')
    long at = System.currentTimeMillis()
    press(KeyCode.ENTER)
    tell('accepted', at)
    until('both') { models().size() == 2 }
    seen.secondsOfFirst = (came[theirs()[0].getID()] - hear(other, 'accepted')) / 1000d
    until('both kept') { kept() }
    seen.authors = models().collectEntries { [(it.getMetadata()['wsisam.author'] ?: 'me'): it.getROI().getCentroidX()] }
    picture("colleagues_${who}")
    meet('both')

    // What is changed later goes with the saved image.
    if (who == 'anna') {
        fx { models().find { it.getMetadata()['wsisam.author'] == null }.setName('renamed') }
        save()
    }
    until('the new name') { named('renamed') != null }
    meet('renamed')

    // Undo takes one's own away, here and there, and leaves the colleague's.
    if (who == 'ben') {
        drag(299, 469, 401, 571)
        until('the outline of c') { says('score') }
        long pressed = System.currentTimeMillis()
        press(KeyCode.ENTER)
        tell('accepts c', pressed)
        until('c, kept') { models().size() == 3 && kept() }
        hear('anna', 'sees c')
        fx { viewer().getView().requestFocus() }
        press(KeyCode.Z, KeyCode.CONTROL)
    } else {
        until('c of ben') { models().size() == 3 }
        seen.secondsOfNext = (theirs().collect { came[it.getID()] }.max() - hear('ben', 'accepts c')) / 1000d
        tell('sees c')
    }
    until('c gone') { models().size() == 2 }
    seen.undone = models()*.getName()
    meet('undone')

    // The server is killed; anna accepts nevertheless, and her QuPath is killed, too.
    if (who == 'anna') {
        drag(299, 469, 401, 571)
        until('the outline of c') { says('score') }
        tell('kill')
        hear('test', 'killed')
        press(KeyCode.ENTER)
        until('c') { models().size() == 3 }
        until('that it waits') { keptText().contains('not in the store yet') }
        seen.away = keptText()
        picture('away_anna')
        return
    }
    hear('anna', 'again')
    until('c of anna') { models().size() == 3 && kept() }
    save()
    tell('end')
    sleep(3000)
    seen.last = plain(annotations())
}
