package io.wsisam.qupath

import qupath.lib.images.ImageData
import qupath.lib.io.PathIO
import qupath.lib.objects.hierarchy.PathObjectHierarchy

import java.nio.file.FileSystemException
import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.StandardCopyOption

/**
 * What is saved of a project's image, and whether it can be trusted. QuPath shows an empty image for data that it cannot read,
 * and its own way to read a hierarchy never ends at the end of a file that was cut.
 */
class SavedData {
    private static final String DATA = 'data.qpdata', QUPATHS_BACKUP = 'data.qpdata.bkp', SUMMARY = 'summary.json'

    /**
     * @param entry of the project
     * @param asRead the image as it was just read from it, or null when it may have been edited since
     * @param hadData whether it is known to have had saved data
     * @return why the image must neither be taken for what it shows nor be saved; null when it may
     */
    static String problem(entry, ImageData asRead, boolean hadData = false) {
        def folder = entry?.getEntryPath() as Path
        if (folder == null)
            return null
        def file = [DATA, QUPATHS_BACKUP].collect { folder.resolve(it) }.find { Files.exists(it) }
        if (file == null)
            return hadData || Files.exists(folder.resolve(SUMMARY)) ? "its data file ${folder.resolve(DATA)} is missing, though QuPath has saved one: bring it back first".toString() : null
        try {
            int objects = countObjects(file)
            if (asRead != null && objects != asRead.getHierarchy().nObjects())
                return "its saved data cannot be read: ${objects} objects are saved, and QuPath shows ${asRead.getHierarchy().nObjects()}".toString()
            return null
        } catch (IOException | ClassNotFoundException | RuntimeException unreadable) {
            return "its saved data cannot be read (${unreadable instanceof EOFException ? 'the file was cut' : unreadable.toString()}): ${file}".toString()
        }
    }

    /**
     * For scripts that are run for an image which is saved afterwards, whether they changed it or not.
     *
     * @throws IllegalStateException its saved data cannot be read; QuPath without a window then does not save it
     */
    static void refuseUnreadable(entry, ImageData asRead) {
        def problem = asRead.isChanged() ? null : problem(entry, asRead)
        if (problem == null)
            return
        def kept = keep(entry)
        throw new IllegalStateException("${problem}. Nothing was done, and nothing must be saved${kept ? "; the file is kept as ${kept}" : ''}.".toString())
    }

    /** Puts a file that cannot be read aside, for whatever saves the image next; where to. */
    static Path keep(entry) {
        def file = (entry.getEntryPath() as Path).resolve(DATA)
        if (!Files.exists(file))
            return null
        def kept = file.resolveSibling("data.unreadable-${Files.getLastModifiedTime(file).toMillis()}.qpdata")
        if (!Files.exists(kept))
            Files.copy(file, kept, StandardCopyOption.COPY_ATTRIBUTES)
        kept
    }

    /** Why an image's data cannot be saved, in words; null when they can. */
    static String whyNotWritable(entry) {
        def folder = entry?.getEntryPath() as Path
        folder == null ? null : whyNotWritable(folder)
    }

    /** Why nothing can be written into a folder, in words; null when it can. The folder is made. */
    static String whyNotWritable(Path folder) {
        try {
            Files.createDirectories(folder)
            Files.delete(Files.createTempFile(folder, '.wsisam-', ''))
            return null
        } catch (IOException denied) {
            return "its folder ${folder} cannot be written (${denied instanceof FileSystemException && denied.getReason() ? denied.getReason() : denied.getClass().getSimpleName()})".toString()
        }
    }

    /** How many objects a data file has. It is read once, to its end, as QuPath would. */
    private static int countObjects(Path file) {
        Files.newInputStream(file).withCloseable { raw ->
            def stream = PathIO.createObjectInputStream(new BufferedInputStream(raw))
            if (!stream.readUTF().startsWith('Data file version'))
                throw new IOException('it is no data file of QuPath')
            PathObjectHierarchy found = null
            while (true) {
                def part
                try {
                    part = stream.readObject()
                } catch (ClassNotFoundException unknown) {
                    if (found == null)
                        throw unknown
                    continue        // of an extension that is not installed; QuPath leaves it out, too
                }
                if (part == 'EOF')
                    break
                if (part instanceof PathObjectHierarchy) {
                    // Only then are its objects those of a hierarchy; QuPath does the same.
                    found = new PathObjectHierarchy()
                    found.setHierarchy(part)
                }
            }
            if (found == null)
                throw new IOException('it has no place for objects')
            found.nObjects()
        }
    }
}
