package io.wsisam.qupath

import io.wsisam.client.WsiSamClient
import io.wsisam.client.annotations.StoredAnnotation
import io.wsisam.client.annotations.SyncOptions
import io.wsisam.client.annotations.SyncResult
import io.wsisam.client.annotations.SyncState
import io.wsisam.client.connection.WsiSamException
import io.wsisam.client.slides.PixelProvider
import io.wsisam.client.slides.PixelWindow
import io.wsisam.client.slides.Slide
import io.wsisam.client.slides.SlideReference
import io.wsisam.script.AnnotationMetadata
import qupath.lib.images.ImageData
import qupath.lib.objects.PathObject
import qupath.lib.objects.PathObjects
import qupath.lib.objects.classes.PathClass
import qupath.lib.regions.ImagePlane

import java.awt.image.BufferedImage
import java.util.concurrent.locks.ReentrantLock
import java.util.function.BiPredicate
import java.util.function.Consumer

/**
 * One image's annotations and the server's store, the same afterwards. The server decides, by the rules of `wsisam sync`; what
 * both sides had in common is in the record that both share, see {@link SyncRecord}. Not on the JavaFX thread.
 */
class StoreSync {
    /** What is named one by one; the rest is counted. */
    private static final int MOST_NAMED = 20

    private final WsiSamClient client
    private final SyncOptions options
    private final project
    private final SyncedEntries entries
    private String store

    /** Held while an image's record and what it describes change: one sync at a time, whoever asks for it. */
    static final ReentrantLock RECORDS = new ReentrantLock()

    /** Of the image's annotations, those that are synced: called with an object, and the revisions in common by id. Null: all. */
    BiPredicate<PathObject, Map<String, SyncState.Base>> only
    /** Whether who made it is noted with what is taken in. */
    boolean withAuthors
    /** Called with each annotation that was taken in, added or changed. */
    Consumer<PathObject> onTakenIn = { PathObject one -> } as Consumer<PathObject>

    /** @param project that the images belong to, or null */
    StoreSync(WsiSamClient client, SyncOptions options, project = null) {
        this.client = client
        this.options = options
        this.project = project
        entries = project == null ? null : new SyncedEntries(project)
    }

    /** Whether an entry of the project is known to have had saved data. */
    boolean hadData(entry) {
        entries?.hadData(entry) ?: false
    }

    /**
     * Syncs an image as it is in memory; saving it is the caller's.
     *
     * @param entry the image's in the project, or null
     * @return what to tell the user, and whether the image was changed
     */
    Map run(ImageData imageData, entry = null) {
        RECORDS.lock()
        try {
            return runAlone(imageData, entry)
        } finally {
            RECORDS.unlock()
        }
    }

    private Map runAlone(ImageData imageData, entry) {
        def problem = whyNot(imageData, entry)
        if (problem)
            return [said: "left alone: ${problem}.".toString(), changed: false, conflicts: 0]
        Steps.withSlide(client, reference(imageData)) { Slide slide -> syncOpened(imageData, entry, slide) }
    }

    private Map syncOpened(ImageData imageData, entry, Slide slide) {
        def other = whyNotThisOne(entry, slide.annotationKey())
        if (other)
            return [said: "left alone: ${other}.".toString(), changed: false, conflicts: 0]
        def record = new SyncRecord(project, entry, imageData, slide.annotationKey())
        def image = new ClientImage(imageData, slide.annotationKey())
        def before = settled(record.read(storeId(), image.digests) { id, digest -> revisionOf(id, digest) }, record)
        if (only != null)
            image.leaveAlone { only.test(it, before.bases()) }
        def excluded = (image.excludedIds + record.doubtful).unique()
        def send = { SyncOptions how ->
            WsiSamClient.await(client.imageSync().sync(slide, image.annotations, image.digests, excluded, before, how))
        }
        def readOnly = options.dryRun() ? null : SavedData.whyNotWritable(entry) ?: record.whyNotWritable()
        if (readOnly) {
            def result = send(options.dry())
            if (result.actions().any { !it.conflict() && !it.held() && !it.refused() && !it.gone() })
                throw new IOException("${readOnly}; nothing was done, neither here nor in the store")
            return [said: report(result, image, record.doubtful), changed: false, conflicts: (result.conflicts() as int) + record.doubtful.size()]
        }
        if (entry != null && !options.dryRun())
            entries.keep(slide.annotationKey(), entry)
        def marked = !options.dryRun() && mark(imageData, entry, before, record, image)
        def result = send(options)
        def changed = !options.dryRun() && apply(imageData, result, before, record, image, marked)
        if (!options.dryRun())
            image.noteRepaired(new RepairedShapes(client), result)
        [said: report(result, image, record.doubtful), changed: changed, conflicts: (result.conflicts() as int) + record.doubtful.size()]
    }

    /** What is in doubt, as far as it is settled: the record says then that the image had it, or had not. */
    private SyncState settled(SyncState state, SyncRecord record) {
        if (!record.doubtful || options.resolve() == null)
            return state
        def bases = new HashMap<>(state.bases())
        if (options.resolve() == SyncOptions.Side.STORE)
            record.doubtful.each { bases.remove(it) }
        record.doubtful = []
        new SyncState(state.storeId(), bases)
    }

    /** The store's last revision of an annotation with this content; null when there is none. */
    private Long revisionOf(String id, String digest) {
        try {
            WsiSamClient.await(client.annotations().revisions(id)).findAll { !it.deleted() && it.digest() == digest }*.revision().max()
        } catch (WsiSamException failure) {
            if (failure.reason() == 'ANNOTATION_NOT_FOUND')
                return null
            throw failure
        }
    }

    /**
     * Saves the image under a name of its own in the record, if anything of it may go to the store: who is cut off after that
     * knows what the image had, and an image that another QuPath opened before has another name.
     */
    private boolean mark(ImageData imageData, entry, SyncState before, SyncRecord record, ClientImage image) {
        def news = image.annotations*.id().collectEntries { [(it): image.digests[it]] }.findAll { before.bases()[it.key]?.digest() != it.value }
        if (entry == null || !news || options.direction() == SyncOptions.Direction.TO_IMAGE)
            return false
        record.mark(before, news)
        entry.saveImageData(imageData)
        true
    }

    /** The store's own id. */
    private String storeId() {
        if (store == null)
            store = WsiSamClient.await(client.annotations().store()).id()
        store
    }

    // -- To the server ---------------------------------------------------------------------------------------------

    /** Why nothing of an image is kept in the store, in words; null when it is. */
    String whyNotKept(ImageData imageData, entry, String slideId) {
        whyNot(imageData, entry) ?: whyNotThisOne(entry, slideId)
    }

    private String whyNotThisOne(entry, String slideId) {
        def synced = entry == null ? null : entries.synced(slideId, entry)
        synced == null || synced.getID() == entry.getID() ? null :
                "it shows the same slide as ${synced.getImageName()} (number ${synced.getID()}); only that one is synced".toString()
    }

    /** An image whose coordinates are not its file's would be drawn on the wrong place of the slide. */
    private String whyNot(ImageData imageData, entry) {
        def others = entry == null ? [] : project.getImageList().findAll { it.getID() == entry.getID() }
        if (others.size() > 1)
            return "its number in the project (${entry.getID()}) is also that of another image, and nobody knows whose the objects are".toString()
        def part = Images.whyNotWhole(imageData.getServerBuilder())
        part == null ? null : "only whole images are synced, and ${part}".toString()
    }

    private static SlideReference reference(ImageData imageData) {
        def server = imageData.getServer()
        // Named by its content or its URI where the server cannot open it; its pixels are never asked for.
        def pixels = new PixelProvider() {
            @Override
            BufferedImage read(PixelWindow window) {
                throw new UnsupportedOperationException('a sync sends no pixels')
            }
        }
        SlideReference.of(server.getURIs(), server.getWidth(), server.getHeight(),
                server.getPixelCalibration().getAveragedPixelSizeMicrons() as double, pixels)
    }

    // -- To the image ----------------------------------------------------------------------------------------------

    private boolean apply(ImageData imageData, SyncResult result, SyncState before, SyncRecord record, ClientImage image, boolean marked) {
        def hierarchy = imageData.getHierarchy()
        def byId = hierarchy.getAnnotationObjects().collectEntries { [(it.getID().toString()): it] }
        def digests = new HashMap<String, String>(image.digests)
        def authors = result.actions().collectEntries { [(it.id()): it.storeAuthor()] }
        def added = []
        result.put().each { StoredAnnotation said ->
            PathObject one = byId[said.id()]
            try {
                def done = describe(one == null ? make(said) : reshape(one, said), said)
                if (withAuthors && authors[said.id()] && authors[said.id()] != options.author())
                    done.getMetadata().put(AnnotationMetadata.AUTHOR, authors[said.id()])
                if (one == null)
                    added << done
                onTakenIn.accept(done)
                def shape = Shapes.of(done.getROI())
                digests[said.id()] = ClientImage.stored(done, image.slideId, Shapes.kept(done.getROI(), shape)).digest()
            } catch (IllegalArgumentException unusable) {
                // Not noted as synced, so that it comes again.
                Notifications.logDefect(unusable)
                digests.remove(said.id())
            }
        }
        hierarchy.addObjects(added)
        def gone = result.remove().collect { byId[it] }.findAll { it != null }
        hierarchy.removeObjects(gone, true)
        if (result.put() || gone)
            hierarchy.fireHierarchyChangedEvent(StoreSync)
        def after = result.record(before, digests)
        if (marked && !result.put() && !gone) {
            record.complete(after)
            return false
        }
        def changed = result.put() || gone || after != before
        if (changed) {
            record.write(after)
            imageData.setChanged(true)
        }
        changed
    }

    private static PathObject make(StoredAnnotation said) {
        def one = PathObjects.createAnnotationObject(Shapes.roi(said.shape(), ImagePlane.getDefaultPlane()))
        one.setID(UUID.fromString(said.id()))
        one
    }

    private static PathObject reshape(PathObject one, StoredAnnotation said) {
        def roi = Shapes.roi(said.shape(), ImagePlane.getDefaultPlane())
        if (!Shapes.same(one.getROI(), roi))
            Measurements.keeping(one) { one.setROI(roi) }
        one
    }

    private static PathObject describe(PathObject one, StoredAnnotation said) {
        one.setName(said.name() ?: null)
        if (!said.className())
            one.resetPathClass()
        else if (one.getPathClass()?.toString() != said.className())
            one.setPathClass(said.classRgb() == null ? PathClass.fromString(said.className()) : PathClass.fromString(said.className(), opaque(said.classRgb())))
        one.setColor(said.rgb() == null ? null : opaque(said.rgb()))
        def measured = one.getMeasurementList()
        // What is not a number the store never had, and cannot have taken away.
        measured.getMeasurementNames().findAll { !said.measurements().containsKey(it) && Double.isFinite(measured.get(it)) }
                .toArray().each { measured.remove(it as String) }
        said.measurements().each { name, value -> measured.put(name, value as double) }
        measured.close()
        def metadata = one.getMetadata()
        metadata.keySet().retainAll(said.metadata().keySet())
        metadata.putAll(said.metadata())
        one.setLocked(said.locked())
        one
    }

    private static Integer opaque(int rgb) {
        (rgb | (0xFF << 24)) as Integer
    }

    // -- What to tell ----------------------------------------------------------------------------------------------

    private static String report(SyncResult result, ClientImage image, Set<String> doubtful) {
        def counts = result.actions().countBy { it.held() ? "waits (${it.action()})".toString() : it.refused() ? 'refused' : it.action() }
        if (doubtful)
            counts.conflict = (counts.conflict ?: 0) + doubtful.size()
        def parts = counts.collect { action, count -> "${count} ${action}" } ?: ['nothing to do']
        def text = "${parts.join(', ')}, ${result.unchanged()} unchanged."
        def named = result.actions().findAll { it.conflict() || it.refused() || it.gone() }
                .collect { "${image.labels[it.id()] ?: [it.label(), it.id()].findAll { n -> n }.join(' ')}: ${it.reason()}".toString() }
        named += doubtful.toSorted().collect { "${it}: conflict: in the store, and gone from this image, which was opened before that was synced: it was deleted here, or another QuPath saved it meanwhile".toString() }
        if (named)
            text += " ${listed(named)}"
        if (image.leftOut)
            text += " ${image.leftOut.size()} left out: ${listed(image.leftOut)}"
        text.toString()
    }

    private static String listed(List<String> lines) {
        lines.take(MOST_NAMED).join('; ') + (lines.size() > MOST_NAMED ? "; and ${lines.size() - MOST_NAMED} more" : '')
    }
}
