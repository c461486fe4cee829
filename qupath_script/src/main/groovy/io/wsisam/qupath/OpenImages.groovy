package io.wsisam.qupath

import qupath.fx.utils.FXUtils
import qupath.lib.gui.QuPathGUI
import qupath.lib.gui.UserDirectoryManager
import qupath.lib.images.ImageData
import qupath.lib.projects.Projects

import java.nio.file.Files
import java.nio.file.Path

/** The images that QuPath shows, where they are saved, and where what is on its way to the store lies. Any thread. */
class OpenImages {
    private final QuPathGUI gui

    OpenImages(QuPathGUI gui) {
        this.gui = gui
    }

    List<ImageData> all() {
        FXUtils.callOnApplicationThread { gui.getAllViewers().collect { it.getImageData() }.findAll { it != null }.unique { System.identityHashCode(it) } }
    }

    def project() {
        gui.getProject()
    }

    /** An image's entry in the open project, or null. */
    def entry(ImageData imageData) {
        gui.getProject()?.getEntry(imageData)
    }

    /** The image's number in its project; "" outside a project. */
    String number(ImageData imageData) {
        entry(imageData)?.getID()?.toString() ?: ''
    }

    /** The folder for what is on its way from an image to the store. */
    Path outbox(ImageData imageData) {
        entry(imageData) == null ? ofUser() : ofProject()
    }

    /** All folders that may hold something now. */
    List<Path> outboxes() {
        gui.getProject() == null ? [ofUser()] : [ofProject(), ofUser()]
    }

    private Path ofProject() {
        Projects.getBaseDirectory(gui.getProject()).toPath().resolve('wsisam-sync').resolve('outbox')
    }

    private static Path ofUser() {
        def folder = UserDirectoryManager.getInstance().getUserPath()?.resolve('wsisam') ?: Path.of(System.getProperty('user.home'), '.wsisam')
        folder.resolve('outbox')
    }

    /** The file that an image is saved in; null before it has one. */
    Path file(ImageData imageData) {
        def entry = entry(imageData)
        if (entry != null)
            return (entry.getEntryPath() as Path).resolve('data.qpdata')
        imageData.getLastSavedPath() ? Path.of(imageData.getLastSavedPath()) : null
    }

    /** Tells one state of the saved file from another; null where there is none. */
    String stamp(ImageData imageData) {
        def file = file(imageData)
        file == null || !Files.exists(file) ? null : "${Files.getLastModifiedTime(file)} ${Files.size(file)}".toString()
    }

    /** Saves an image where it was saved before. */
    void save(ImageData imageData) {
        def entry = entry(imageData)
        if (entry != null)
            entry.saveImageData(imageData)
        else if (imageData.getLastSavedPath())
            qupath.lib.io.PathIO.writeImageData(new File(imageData.getLastSavedPath()), imageData)
    }
}
