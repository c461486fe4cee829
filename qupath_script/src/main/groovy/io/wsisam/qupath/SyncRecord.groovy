package io.wsisam.qupath

import com.google.gson.JsonArray
import com.google.gson.JsonElement
import com.google.gson.JsonObject
import com.google.gson.JsonParser
import io.wsisam.client.annotations.SyncState
import qupath.lib.images.ImageData
import qupath.lib.projects.Projects

import java.nio.channels.FileChannel
import java.nio.file.Files
import java.nio.file.NoSuchFileException
import java.nio.file.Path
import java.nio.file.StandardCopyOption
import java.nio.file.StandardOpenOption
import java.security.MessageDigest
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.TimeUnit

/**
 * The record of an image's last sync: what it and the store had in common. One file in the project's folder for each state in
 * which a sync left the image, which names its own; `wsisam sync` reads and writes the same (annotations/sync/record.py). An image
 * of no project keeps the record in a property.
 */
class SyncRecord {
    /** The property that names the record. Plain text: anything else could not be read back. */
    static final String GENERATION = 'wsisam.sync'
    /** The record itself, where there is no project, and as it was kept at first; and whose it is. */
    static final String RECORD = 'wsisam.synced', OWNER = 'wsisam.synced.image'

    /** So many are kept of each image: the newest, those of the data files that `wsisam sync` keeps as backups, and those before. */
    private static final int KEPT = 8
    private static final int FORMAT = 1
    private static final String FIRST = 'first'

    /** Names that this QuPath gave, with the data file as it was then: while that is so, no file has the name. */
    private static final Map<String, String> GIVEN = new ConcurrentHashMap<>()

    private final ImageData imageData
    private final entry
    private final String slideId
    private final Path folder

    /**
     * What the image lacks without it being known that it was deleted: another QuPath may have saved it after this image was
     * opened. Nothing is done about it until somebody settles it.
     */
    Set<String> doubtful = []

    /**
     * @param project of the entry, or null
     * @param entry the image's, or null
     */
    SyncRecord(project, entry, ImageData imageData, String slideId) {
        this.imageData = imageData
        this.entry = entry
        this.slideId = slideId
        folder = entry == null ? null : Projects.getBaseDirectory(project).toPath().resolve('wsisam-sync')
    }

    /**
     * What the image, as it is in memory, had in common with a store; what the image lacks in doubt is in `doubtful`.
     *
     * @param digests of what the image holds, by id
     * @param revisionOf called with an id and a digest: the store's last revision of that content, or null
     */
    SyncState read(String storeId, Map<String, String> digests, Closure<Long> revisionOf) {
        doubtful = []
        if (entry == null)
            return ofStore(SyncState.parse(property()), storeId)
        def said = kept()
        def known = said == null ? [:] : bases(said, storeId)
        def first = property()
        if (first != null && (said == null || text(said, 'carried') != sha256(first))) {
            // As it was kept at first, beside the record of `wsisam sync`: each knew what it had brought into the project.
            ofStore(SyncState.parse(first), storeId).bases().each { id, base ->
                if (!known.containsKey(id) || known[id].revision() < base.revision())
                    known[id] = base
            }
        }
        def store = said?.getAsJsonObject('stores')?.get(storeId)?.getAsJsonObject()
        if (store == null || isOlder(store))
            return new SyncState(storeId, known)
        // The same rules as `arrived` and `held` in annotations/sync/in_common.py.
        part(store, 'sent').each { id, digest ->
            def revision = revisionOf(id, digest.getAsString())
            if (revision != null)
                known[id] = new SyncState.Base(revision, digest.getAsString())
        }
        part(store, 'doubtful').each { id, before ->
            if (!digests.containsKey(id)) {
                if (known.containsKey(id))
                    doubtful << id
            } else if (!before.isJsonNull() && base(before).digest() == digests[id])
                known[id] = base(before)
        }
        new SyncState(storeId, known)
    }

    /**
     * Keeps a record of a new name for the image as it is now, before it is saved and before what it holds goes to the store. So
     * whatever has that name held it: if it is gone from there later, somebody deleted it.
     *
     * @param sent digests of what goes to the store, by id
     */
    void mark(SyncState state, Map<String, String> sent) {
        if (entry != null)
            write(state, sent)
    }

    /** Keeps a record for the image as it is now. Before the image is saved: a file that is saved later names it. */
    void write(SyncState state, Map<String, String> sent = [:]) {
        if (entry == null) {
            imageData.setProperty(RECORD, state.toText())
            imageData.setProperty(OWNER, owner())
            return
        }
        def follows = generation()
        def name = nameForNow()
        keep(name, state, sent)
        took(name, follows)
    }

    /**
     * Notes what the image and the store have in common beside what the record says; the rest of the record stays. For changes
     * that were made in the store one by one, see {@link Keeper}.
     */
    void note(String storeId, Map<String, SyncState.Base> more) {
        if (entry == null) {
            write(new SyncState(storeId, ofStore(SyncState.parse(property()), storeId).bases() + more))
            return
        }
        def said = kept() ?: empty()
        def stores = said.getAsJsonObject('stores')
        if (!stores.has(storeId))
            stores.add(storeId, new JsonObject())
        def store = stores.getAsJsonObject(storeId)
        if (isOlder(store))
            return
        ['annotations', 'sent', 'doubtful', 'settling'].each { if (!store.has(it)) store.add(it, new JsonObject()) }
        more.each { id, base -> store.getAsJsonObject('annotations').add(id, pair(base)) }
        stores.entrySet().each { it.value.getAsJsonObject().remove('data') }
        said.addProperty('format', FORMAT)
        def follows = generation(), name = nameForNow()
        replace(path(name), said.toString() + '\n')
        took(name, follows)
    }

    /** The revision that the image and the store have in common of an annotation; 0 for none. */
    long revision(String storeId, String id) {
        def known = entry == null ? ofStore(SyncState.parse(property()), storeId).bases() : kept() == null ? [:] : bases(kept(), storeId)
        known[id]?.revision() ?: 0L
    }

    private JsonObject empty() {
        def said = new JsonObject()
        said.addProperty('slide', slideId)
        said.add('stores', new JsonObject())
        said
    }

    /**
     * The name of what the image is now. A new one once it was saved under the former: a file that was saved describes what it
     * held. Else the same: only so many names are kept, and the saved file's must not be pushed out.
     */
    private String nameForNow() {
        def now = generation()
        if (GIVEN.get(now) == stamp())
            return now
        def name = UUID.randomUUID().toString().replace('-', '')
        GIVEN.put(name, stamp())
        name
    }

    private String stamp() {
        try {
            def file = (entry.getEntryPath() as Path).resolve('data.qpdata')
            return "${Files.getLastModifiedTime(file).to(TimeUnit.NANOSECONDS)} ${Files.size(file)}".toString()
        } catch (IOException none) {
            return 'none'
        }
    }

    private void took(String name, String follows) {
        imageData.setProperty(GENERATION, name)
        [RECORD, OWNER].each { imageData.removeProperty(it) }
        prune([name, follows])
    }

    /** Keeps a record for the image as it was marked and saved; nothing of it was changed since. */
    void complete(SyncState state) {
        keep(generation(), state, [:])
    }

    private void keep(String name, SyncState state, Map<String, String> sent) {
        def before = kept()
        def stores = before == null ? new JsonObject() : before.getAsJsonObject('stores')
        def store = stores.has(state.storeId()) ? stores.getAsJsonObject(state.storeId()) : new JsonObject()
        def known = part(store, 'doubtful')
        def annotations = new JsonObject(), going = new JsonObject(), inDoubt = new JsonObject()
        new TreeMap<>(state.bases()).each { id, base ->
            annotations.add(id, pair(base))
        }
        new TreeMap<>(sent).each { id, digest -> going.addProperty(id, digest) }
        doubtful.findAll { state.bases().containsKey(it) }.toSorted().each { inDoubt.add(it, known[it]) }
        store.add('annotations', annotations)
        store.add('sent', going)
        store.add('doubtful', inDoubt)
        if (!store.has('settling'))
            store.add('settling', new JsonObject())
        stores.add(state.storeId(), store)
        stores.entrySet().each { it.value.getAsJsonObject().remove('data') }
        def said = new JsonObject()
        said.addProperty('format', FORMAT)
        said.addProperty('slide', slideId)
        said.add('stores', stores)
        replace(path(name), said.toString() + '\n')
    }

    /** Why a record cannot be kept, in words; null when it can. */
    String whyNotWritable() {
        entry == null ? null : SavedData.whyNotWritable(path(FIRST).getParent())
    }

    // -- Files -----------------------------------------------------------------------------------------------------

    private String generation() {
        def name = imageData.getProperty(GENERATION)?.toString()
        name != null && name ==~ /[0-9a-f]{32}/ ? name : FIRST
    }

    private Path path(String generation) {
        folder.resolve('synced').resolve(entry.getID().toString()).resolve("${generation}.json")
    }

    /** The record that the image names; null where there is none that counts. */
    private JsonObject kept() {
        def said = parse(path(generation()))
        if (said != null && said.has('format') && said.get('format').getAsInt() > FORMAT)
            throw new IOException("the record of its last sync was written by a newer WSI-SAM; sync this project with that one")
        if (said == null)
            said = keptBefore()
        said != null && said.has('stores') && text(said, 'slide') == slideId ? said : null
    }

    /** The record of `wsisam sync` as it was kept at first. */
    private JsonObject keptBefore() {
        def old = parse(folder.resolve('images').resolve("${entry.getID()}.json"))
        if (old == null || !old.has('format') || old.get('format').getAsInt() != 1 || !old.has('slide') || old.get('slide').isJsonNull())
            return null
        def name = imageData.getProperty(GENERATION)?.toString()
        if (!(name in [text(old, 'generation'), text(old, 'writing')].findAll { it != null }) && !(name == null && text(old, 'generation') == null))
            return null
        def said = new JsonObject()
        said.addProperty('slide', old.getAsJsonArray('slide').get(0).getAsString())
        said.add('stores', old.getAsJsonObject('stores'))
        said
    }

    private Map<String, SyncState.Base> bases(JsonObject said, String storeId) {
        def store = said.getAsJsonObject('stores').get(storeId)?.getAsJsonObject()
        if (store == null || !store.has('annotations') || isOlder(store))
            return [:]
        store.getAsJsonObject('annotations').entrySet().collectEntries {
            [(it.key): base(it.value)]
        }
    }

    private static JsonArray pair(SyncState.Base base) {
        def pair = new JsonArray()
        pair.add(base.revision())
        pair.add(base.digest())
        pair
    }

    private static SyncState.Base base(JsonElement pair) {
        new SyncState.Base(pair.getAsJsonArray().get(0).getAsLong(), pair.getAsJsonArray().get(1).getAsString())
    }

    private static Map<String, JsonElement> part(JsonObject store, String name) {
        store.has(name) ? store.getAsJsonObject(name).entrySet().collectEntries { [(it.key): it.value] } : [:]
    }

    /** Whether the data file is older than the record, as after it was restored from a backup. */
    private boolean isOlder(JsonObject store) {
        if (!store.has('data') || store.get('data').isJsonNull())
            return false
        try {
            def file = (entry.getEntryPath() as Path).resolve('data.qpdata')
            return Files.getLastModifiedTime(file).to(TimeUnit.NANOSECONDS) < store.getAsJsonArray('data').get(1).getAsLong()
        } catch (NoSuchFileException none) {
            return true
        }
    }

    private void prune(List<String> needed) {
        def files = Files.list(path(FIRST).getParent()).withCloseable { it.filter { file -> file.toString().endsWith('.json') }.toList() }
        def spare = files.findAll { !(it.getFileName().toString() - '.json' in needed) }.sort { -Files.getLastModifiedTime(it).toMillis() }
        spare.drop(KEPT - needed.unique(false).size()).each { Files.deleteIfExists(it) }
    }

    private static JsonObject parse(Path file) {
        try {
            def said = JsonParser.parseString(Files.readString(file))
            return said.isJsonObject() ? said.getAsJsonObject() : null
        } catch (IOException | RuntimeException none) {
            return null
        }
    }

    private static String text(JsonObject said, String key) {
        said.has(key) && !said.get(key).isJsonNull() ? said.get(key).getAsString() : null
    }

    private static void replace(Path file, String text) {
        Files.createDirectories(file.getParent())
        // Not a file of Java's for temporary things: others who work in the project could not read it.
        def side = file.resolveSibling(".wsisam-${UUID.randomUUID()}".toString())
        try {
            Files.writeString(side, text)
            FileChannel.open(side, StandardOpenOption.WRITE).withCloseable { it.force(true) }
            Files.move(side, file, StandardCopyOption.REPLACE_EXISTING)
        } finally {
            Files.deleteIfExists(side)
        }
    }

    // -- The property ----------------------------------------------------------------------------------------------

    private String owner() {
        "${entry?.getID() ?: ''}\n${slideId}".toString()
    }

    /** The record that was kept with the image, unless it was copied from another image together with its data. */
    private String property() {
        imageData.getProperty(OWNER) == owner() ? imageData.getProperty(RECORD)?.toString() : null
    }

    private static SyncState ofStore(SyncState state, String storeId) {
        state.storeId() == storeId ? state : new SyncState(storeId, [:])
    }

    private static String sha256(String text) {
        MessageDigest.getInstance('SHA-256').digest(text.getBytes('UTF-8')).encodeHex().toString()
    }
}
