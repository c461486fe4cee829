package io.wsisam.qupath

import com.google.gson.JsonObject
import com.google.gson.JsonParser
import io.wsisam.client.slides.SlideFiles
import qupath.lib.projects.Projects

import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.StandardCopyOption
import java.security.MessageDigest

/**
 * Which image of a project is synced for a slide that several of them show, such as an entry and its copy for a second reader:
 * the one that was synced before, or else the first. It is kept in the project's folder, where `wsisam sync` reads and writes it.
 */
class SyncedEntries {
    private final project
    private final Path folder

    SyncedEntries(project) {
        this.project = project
        folder = Projects.getBaseDirectory(project).toPath().resolve('wsisam-sync').resolve('slides')
    }

    /** The entry that is synced for a slide which this one shows. */
    Object synced(String slideId, entry) {
        def images = project.getImageList()
        def kept = read(slideId)
        def before = kept == null ? null : images.find { isKept(kept, it) }
        if (before != null)
            return before
        images.takeWhile { !it.is(entry) && it.getID() != entry.getID() }.find { showsTheSame(it, entry) } ?: entry
    }

    /** Whether this entry was synced for a slide, and had saved data then. */
    boolean hadData(entry) {
        try {
            return Files.isDirectory(folder) && Files.list(folder).withCloseable { files ->
                files.map { parse(it) }.anyMatch { isKept(it, entry) && isSaved(it) }
            }
        } catch (IOException unknown) {
            return false
        }
    }

    /** Notes that an entry is the one that is synced for a slide. */
    void keep(String slideId, entry) {
        def before = read(slideId)
        def saved = entry.hasImageData() || (isKept(before, entry) && isSaved(before))
        if (isKept(before, entry) && isSaved(before) == saved)
            return
        def said = new JsonObject()
        said.addProperty('image', entry.getID().toString())
        said.addProperty('name', entry.getImageName().toString())
        said.addProperty('slide', slideId)
        said.addProperty('saved', saved)
        said.add('uris', JsonParser.parseString(qupath.lib.io.GsonTools.getInstance().toJson(uris(entry))))
        Files.createDirectories(folder)
        // Not a file of Java's for temporary things: others who work in the project could not read it.
        def side = folder.resolve(".wsisam-${UUID.randomUUID()}".toString())
        try {
            Files.writeString(side, said.toString() + '\n')
            Files.move(side, path(slideId), StandardCopyOption.REPLACE_EXISTING)
        } finally {
            Files.deleteIfExists(side)
        }
    }

    private Path path(String slideId) {
        def digest = MessageDigest.getInstance('SHA-256').digest(slideId.getBytes('UTF-8'))
        folder.resolve(digest.encodeHex().toString().substring(0, 32) + '.json')
    }

    private JsonObject read(String slideId) {
        parse(path(slideId))
    }

    /** What is kept; null where there is nothing, or nothing that can be read. */
    private static JsonObject parse(Path file) {
        try {
            def said = JsonParser.parseString(Files.readString(file))
            return said.isJsonObject() && said.has('image') && said.has('uris') ? said.getAsJsonObject() : null
        } catch (IOException | RuntimeException none) {
            return null
        }
    }

    private static boolean isSaved(JsonObject kept) {
        kept.has('saved') && kept.get('saved').getAsBoolean()
    }

    private static boolean isKept(JsonObject kept, entry) {
        kept != null && kept.get('image').getAsString() == entry.getID().toString() &&
                kept.get('uris').collect { it.getAsString() } == uris(entry) && Images.whyNotWhole(entry.getServerBuilder()) == null
    }

    private static boolean showsTheSame(other, entry) {
        if (Images.whyNotWhole(other.getServerBuilder()) != null)
            return false
        if (uris(other) == uris(entry))
            return true
        def one = fingerprint(other), two = fingerprint(entry)
        one != null && one == two
    }

    private static String fingerprint(entry) {
        SlideFiles.fingerprint(uris(entry)[0])
    }

    private static List<String> uris(entry) {
        entry.getURIs().collect { it.toString() }
    }
}
