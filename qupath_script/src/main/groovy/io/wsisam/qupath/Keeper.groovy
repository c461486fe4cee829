package io.wsisam.qupath

import io.wsisam.client.WsiSamClient
import io.wsisam.client.annotations.AnnotationChange
import io.wsisam.client.annotations.Provenance
import io.wsisam.client.annotations.StoredAnnotation
import io.wsisam.client.annotations.SyncOptions
import io.wsisam.client.annotations.SyncState
import io.wsisam.client.connection.WsiSamException
import io.wsisam.client.segmentation.PromptResult
import io.wsisam.script.AnnotationMetadata
import io.wsisam.script.Settings
import io.wsisam.script.keeping.Outbox
import io.wsisam.script.keeping.OutboxEntry
import io.wsisam.script.keeping.OutboxSender
import qupath.lib.images.ImageData
import qupath.lib.objects.PathObject

import java.nio.file.Path
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.Executors
import java.util.concurrent.ScheduledExecutorService
import java.util.concurrent.TimeUnit

/**
 * Keeps in the server's store what is accepted here. A change is written into an outbox, then sent, and when it is made the
 * image's record notes it, as after a sync; so syncs and this agree. What is changed later in QuPath goes by a sync of the kept
 * objects when the image was saved. Any thread; what blocks is done on a thread of its own.
 */
class Keeper {
    private static final long TICK_MS = 1000

    final String author = "qupath:${System.getProperty('user.name')}".toString()
    private final Settings settings
    private final ServerLink link
    private final OpenImages images
    private final Closure onChange
    private final Map<Path, Outbox> outboxes = new ConcurrentHashMap<>()
    /** What was sent of the annotations that were accepted here, by id; and their newest revisions. */
    private final Map<String, StoredAnnotation> own = new ConcurrentHashMap<>()
    private final Map<String, Long> revisions = new ConcurrentHashMap<>()
    private final Map<ImageData, String> slides = Collections.synchronizedMap(new WeakHashMap<>())
    private final Map<ImageData, String> stamps = Collections.synchronizedMap(new WeakHashMap<>())
    private final ScheduledExecutorService worker = Executors.newSingleThreadScheduledExecutor { task ->
        def thread = new Thread(task, 'wsisam-keeper')
        thread.setDaemon(true)
        thread
    }
    private volatile int waiting
    private volatile int conflicts
    private volatile String trouble = ''

    Keeper(Settings settings, ServerLink link, OpenImages images, Closure onChange) {
        this.settings = settings
        this.link = link
        this.images = images
        this.onChange = onChange
        worker.scheduleWithFixedDelay({ Guard.run { tick() } }, TICK_MS, TICK_MS, TimeUnit.MILLISECONDS)
    }

    boolean isOn() {
        settings.keepInStore() && link.store != null
    }

    /** Which slide an image shows, in the store's words; told when the server has opened it. */
    void shows(ImageData imageData, String slideKey) {
        slides.put(imageData, slideKey)
    }

    String slideOf(ImageData imageData) {
        slides.get(imageData)
    }

    /** For the palette: what is kept, what waits, and what for. */
    String status(PathObject selected) {
        if (!isOn() && waiting == 0)
            return ''
        def parts = []
        if (waiting > 0)
            parts << PaletteTexts.of('keep.waiting', waiting.toString(), trouble ?: PaletteTexts.of('keep.sending'))
        if (conflicts > 0)
            parts << PaletteTexts.of('keep.conflicts', conflicts.toString())
        if (selected?.isAnnotation())
            parts << PaletteTexts.of(selected.getMetadata().containsKey(AnnotationMetadata.ID) ? 'keep.selected' : 'keep.unkept')
        parts ? parts.join('\n') : PaletteTexts.of('keep.all')
    }

    // -- What happens in QuPath ----------------------------------------------------------------------------------------

    /** Writes down that an annotation is to be kept as it is now, and sends it soon. Before it is added to its image. */
    void accepted(ImageData imageData, PathObject annotation, PromptResult result, PlaneSession plane) {
        def slide = plane.known
        if (!isOn() || slide == null)
            return
        def key = slide.annotationKey()
        shows(imageData, key)
        try {
            def roi = annotation.getROI(), shape = Shapes.of(roi)
            def why = shape == null || roi.getZ() != 0 || roi.getT() != 0 ? PaletteTexts.of('keep.plane') : sync().whyNotKept(imageData, images.entry(imageData), key)
            if (why) {
                Notifications.show(PaletteTexts.of('keep.not', why))
                return
            }
            def id = annotation.getID().toString()
            def said = ClientImage.stored(annotation, key, shape)
            def kept = said.withMetadata(said.metadata() + [(AnnotationMetadata.ID): id]).withProvenance(Provenance.of(result))
                    .withProject(images.project()?.getName() ?: '').withRevision(revision(imageData, id))
            own.put(id, kept)
            write(imageData, AnnotationChange.save(kept, author, [slide]), kept.withShape(Shapes.kept(roi, shape)).digest())
        } catch (Exception problem) {
            Notifications.show(PaletteTexts.of('keep.not', problem.getMessage() ?: problem.toString()))
        }
    }

    boolean hasAccepted(String id) {
        own.containsKey(id)
    }

    /** The user has undone the acceptance of an annotation: it is deleted in the store at once. */
    void undone(ImageData imageData, String id) {
        later {
            def entry = outbox(imageData).latest(id).orElse(null)
            if (entry != null && !entry.change().isDeletion() && outbox(imageData).takeBack(entry))
                return
            write(imageData, AnnotationChange.delete(id, revision(imageData, id), author), '')
        }
    }

    /** The user has done again what was undone. */
    void redone(ImageData imageData, PathObject annotation) {
        later {
            def id = annotation.getID().toString()
            def entry = outbox(imageData).latest(id).orElse(null)
            if (entry != null && entry.change().isDeletion() && outbox(imageData).takeBack(entry))
                return
            def kept = own.get(id)
            def roi = annotation.getROI()
            write(imageData, AnnotationChange.save(kept.withRevision(revision(imageData, id)), author, []), kept.withShape(Shapes.kept(roi, kept.shape())).digest())
        }
    }

    /** QuPath's undo goes back to objects as they were before they were known to be kept. */
    void mark(ImageData imageData) {
        imageData.getHierarchy().getAnnotationObjects().each {
            def id = it.getID().toString()
            if (own.containsKey(id) && revisions.containsKey(id))
                it.getMetadata().putIfAbsent(AnnotationMetadata.ID, id)
        }
    }

    private void later(Closure work) {
        worker.execute { Guard.run { work() } }
    }

    private void write(ImageData imageData, AnnotationChange change, String digest) {
        outbox(imageData).add(change, link.store?.id() ?: '', link.address(), images.number(imageData), slideOf(imageData), digest)
        worker.execute { Guard.run { tick() } }
    }

    private Outbox outbox(ImageData imageData) {
        at(images.outbox(imageData))
    }

    private Outbox at(Path folder) {
        outboxes.computeIfAbsent(folder) { new Outbox(it) }
    }

    private long revision(ImageData imageData, String id) {
        revisions[id] ?: record(imageData).revision(link.store?.id() ?: '', id)
    }

    private SyncRecord record(ImageData imageData) {
        new SyncRecord(images.project(), images.entry(imageData), imageData, slideOf(imageData))
    }

    // -- Sending, noting, following ------------------------------------------------------------------------------------

    private void tick() {
        try {
            images.outboxes().each { send(at(it)) }
            note()
        } catch (IOException | UncheckedIOException unwritable) {
            trouble = unwritable.getMessage() ?: unwritable.toString()      // nothing is lost; tried again with the next tick
        }
        if (isOn())
            images.all().each { follow(it) }
    }

    private void send(Outbox outbox) {
        def client = link.client, store = link.store
        def mine = { OutboxEntry it -> store != null && it.isFor(store.id(), link.address(), author) }
        WsiSamException stopped = null
        if (client != null && store != null && outbox.entries().any { it.isWaiting() && mine(it) })
            stopped = new OutboxSender(outbox).send(mine, { AnnotationChange change -> WsiSamClient.await(client.annotations().send(change)) }, news())
        def before = [waiting, trouble]
        waiting = outboxes.values().sum { Outbox it -> it.entries().count { one -> one.isWaiting() && one.change().author() == author } } as int
        trouble = stopped?.text() ?: (link.trouble ?: '')
        if (before != [waiting, trouble])
            onChange()
    }

    private OutboxSender.Listener news() {
        [
            made     : { OutboxEntry entry -> revisions[entry.id()] = entry.made() },
            overtaken: { OutboxEntry entry, WsiSamException why -> Notifications.show(PaletteTexts.of('keep.overtaken', why.text())) },
            refused  : { OutboxEntry entry, WsiSamException why -> Notifications.show(PaletteTexts.of('keep.refused', why.text())) }
        ] as OutboxSender.Listener
    }

    /** Notes in the records of open images what was made. What is of other images waits until they are opened. */
    private void note() {
        images.outboxes().each { folder ->
            def made = at(folder).entries().findAll { !it.isWaiting() }
            made.findAll { it.change().isDeletion() }.each { at(folder).remove(it) }
            def saves = made.findAll { !it.change().isDeletion() }
            if (!saves)
                return
            images.all().each { imageData ->
                def own = saves.findAll { it.slide() == slideOf(imageData) && it.image() == images.number(imageData) && it.store() }
                if (own)
                    note(imageData, own, at(folder))
            }
        }
    }

    private void note(ImageData imageData, List<OutboxEntry> made, Outbox outbox) {
        StoreSync.RECORDS.lock()
        try {
            def here = imageData.getHierarchy().getAnnotationObjects().collectEntries { [(it.getID().toString()): it] }
            made.each { here[it.id()]?.getMetadata()?.put(AnnotationMetadata.ID, it.id()) }
            // What was killed before it was saved is not in the image: noted, it would count as deleted here. A sync brings it back.
            made.findAll { here.containsKey(it.id()) || own.containsKey(it.id()) }.groupBy { it.store() }.each { store, ones ->
                record(imageData).note(store, ones.collectEntries { [(it.id()): new SyncState.Base(it.made(), it.digest())] })
            }
            imageData.setChanged(true)
        } finally {
            StoreSync.RECORDS.unlock()
        }
        made.each { outbox.remove(it) }
        onChange()
    }

    /** Syncs the kept objects of an image to the store when it was saved. */
    private void follow(ImageData imageData) {
        def now = images.stamp(imageData)
        if (!stamps.containsKey(imageData))
            stamps.put(imageData, now)
        if (now == null || now == stamps.get(imageData) || slideOf(imageData) == null)
            return
        try {
            def done = sync(SyncOptions.Direction.TO_STORE).run(imageData, images.entry(imageData))
            if (done.changed)
                images.save(imageData)
            said(done)
            stamps.put(imageData, images.stamp(imageData))
        } catch (WsiSamException away) {
            trouble = away.text()               // tried again with the next tick
        } catch (Exception problem) {           // a folder that cannot be written: tried again after the next save
            stamps.put(imageData, now)
            Notifications.show(PaletteTexts.of('keep.not', problem.getMessage() ?: problem.toString()))
        }
    }

    /** A sync of what is kept, to be run on a thread that may wait. */
    StoreSync sync(SyncOptions.Direction direction = SyncOptions.Direction.TO_STORE) {
        def sync = new StoreSync(link.client, SyncOptions.by(author).ofProject(images.project()?.getName() ?: '').only(direction), images.project())
        sync.only = { PathObject one, Map bases -> bases.containsKey(one.getID().toString()) || one.getMetadata().containsKey(AnnotationMetadata.ID) }
        sync
    }

    /** What a sync did, where somebody must know. */
    void said(Map done) {
        if (done.conflicts != conflicts && done.conflicts > 0)
            Notifications.show(done.said)
        if (done.conflicts != conflicts) {
            conflicts = done.conflicts as int
            onChange()
        }
    }

    void close() {
        if (waiting > 0)
            Notifications.show(PaletteTexts.of('keep.later', waiting.toString()))
        worker.shutdown()
    }
}
