// WsiSamClicks.groovy on an image whose pixel size the user corrects while drawing on it.
import qupath.lib.images.servers.ImageServerMetadata

go {
    server(System.getProperty('drive.server'))
    open(System.getProperty('drive.image'))
    fx { viewer().zoomToFit() }
    openPalette()
    until('the server') { says('Ready: ') }
    def outlined = {
        drag(134, 134, 266, 266)
        until('an outline') { says('score') }
        press(KeyCode.ESCAPE)
        until('nothing to be drawn') { !says('score') }
    }
    def warnings = { seen.notes.findAll { it.contains('The file says that a pixel is') } }
    outlined()
    seen.before = warnings()

    def data = viewer().getImageData()
    fx { data.updateServerMetadata(new ImageServerMetadata.Builder(data.getServerMetadata()).pixelSizeMicrons(0.5d, 0.5d).build()) }
    outlined()
    until('the warning') { warnings().size() > 0 }
    outlined()
    seen.after = warnings()
    fx { palette().close() }
}
