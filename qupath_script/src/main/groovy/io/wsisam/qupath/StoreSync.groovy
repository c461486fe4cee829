package io.wsisam.qupath

import io.wsisam.client.WsiSamClient
import io.wsisam.client.annotations.AnnotationShape
import io.wsisam.client.annotations.StoredAnnotation
import io.wsisam.client.annotations.SyncAnswer
import io.wsisam.client.annotations.SyncOptions
import io.wsisam.client.annotations.SyncState
import io.wsisam.client.slides.PixelProvider
import io.wsisam.client.slides.PixelWindow
import io.wsisam.client.slides.SlideReference
import qupath.lib.images.ImageData
import qupath.lib.images.servers.TransformingImageServer
import qupath.lib.objects.PathObject
import qupath.lib.objects.PathObjects
import qupath.lib.objects.classes.PathClass
import qupath.lib.regions.ImagePlane

import java.awt.image.BufferedImage

/**
 * One image's annotations and the server's store, the same afterwards. The server decides, by the rules of `wsisam sync`; what
 * both sides had in common is a property of the image, saved with it. Not on the JavaFX thread.
 */
class StoreSync {
    /** A property of the image, plain text: anything else could not be read back. */
    static final String PROPERTY = 'wsisam.synced'

    private final WsiSamClient client
    private final SyncOptions options

    StoreSync(WsiSamClient client, SyncOptions options) {
        this.client = client
        this.options = options
    }

    /**
     * Syncs an image as it is in memory; saving it is the caller's.
     *
     * @return what to tell the user, and whether the image was changed
     */
    Map run(ImageData imageData) {
        def problem = whyNot(imageData)
        if (problem)
            return [said: problem, changed: false, conflicts: 0]
        def slide = WsiSamClient.await(client.openSlide(reference(imageData)))
        def held = imageData.getHierarchy().getAnnotationObjects().toList()
        def sendable = [:] as Map<PathObject, AnnotationShape>
        def excludedIds = [] as List<String>
        held.each { PathObject one ->
            def roi = one.getROI()
            def shape = roi == null || roi.getZ() != 0 || roi.getT() != 0 ? null : Shapes.of(roi)
            shape == null ? excludedIds << one.getID().toString() : sendable.put(one, shape)
        }
        def before = SyncState.parse(imageData.getProperty(PROPERTY)?.toString())
        def annotations = sendable.collect { one, shape -> stored(one, slide.annotationKey(), shape) }
        def answer = WsiSamClient.await(client.imageSync().sync(slide, annotations, excludedIds, before, options))
        def changed = !options.dryRun() && apply(imageData, answer, before)
        [said: report(answer), changed: changed, conflicts: answer.conflicts() as int]
    }

    // -- To the server ---------------------------------------------------------------------------------------------

    /** An image whose coordinates are not its file's would be drawn on the wrong place of the slide. */
    private static String whyNot(ImageData imageData) {
        def server = imageData.getServer()
        if (server.getURIs().size() == 1 && !(server instanceof TransformingImageServer) && !(server.getPath() =~ /--series, [1-9]/))
            return null
        'left alone: only whole images are synced, and this one is rotated, cropped, or a further image of its file.'
    }

    private static SlideReference reference(ImageData imageData) {
        def server = imageData.getServer()
        // Named by its URI where the server cannot open it; its pixels are never asked for.
        def pixels = new PixelProvider() {
            @Override
            BufferedImage read(PixelWindow window) {
                throw new UnsupportedOperationException('a sync sends no pixels')
            }
        }
        SlideReference.of(server.getURIs(), server.getWidth(), server.getHeight(),
                server.getPixelCalibration().getAveragedPixelSizeMicrons() as double, pixels)
    }

    private static StoredAnnotation stored(PathObject one, String slideId, AnnotationShape shape) {
        def measured = one.getMeasurementList()
        def numbers = measured.getMeasurementNames().collectEntries { [(it): measured.get(it) as Double] }.findAll { Double.isFinite(it.value) }
        def pathClass = one.getPathClass() == PathClass.NULL_CLASS ? null : one.getPathClass()
        StoredAnnotation.drawn(one.getID().toString(), slideId, shape)
                .withClass(pathClass?.toString() ?: '', pathClass?.getColor() == null ? null : pathClass.getColor() & 0xFFFFFF)
                .withRgb(one.getColor() == null ? null : one.getColor() & 0xFFFFFF)
                .withName(one.getName() ?: '')
                .withLocked(one.isLocked())
                .withMeasurements(numbers)
                .withMetadata(one.getMetadata().findAll { it.value != null })
    }

    // -- To the image ----------------------------------------------------------------------------------------------

    private static boolean apply(ImageData imageData, SyncAnswer answer, SyncState before) {
        def hierarchy = imageData.getHierarchy()
        def byId = hierarchy.getAnnotationObjects().collectEntries { [(it.getID().toString()): it] }
        def revisions = new HashMap<String, Long>(answer.state().revisions())
        def added = []
        answer.put().each { StoredAnnotation said ->
            PathObject one = byId[said.id()]
            try {
                if (one == null)
                    added << describe(make(said), said)
                else
                    describe(reshape(one, said), said)
            } catch (IllegalArgumentException unusable) {
                // Not noted as synced, so that it comes again.
                Notes.mistake(unusable)
                before.revisions().containsKey(said.id()) ? revisions.put(said.id(), before.revisions()[said.id()]) : revisions.remove(said.id())
            }
        }
        hierarchy.addObjects(added)
        def gone = answer.remove().collect { byId[it] }.findAll { it != null }
        hierarchy.removeObjects(gone, true)
        if (answer.put() || gone)
            hierarchy.fireHierarchyChangedEvent(StoreSync)
        def text = new SyncState(answer.state().storeId(), revisions).toText().toString()
        def noted = text != imageData.getProperty(PROPERTY)
        if (noted)
            imageData.setProperty(PROPERTY, text)
        if (answer.put() || gone || noted)
            imageData.setChanged(true)
        answer.put() || gone || noted
    }

    private static PathObject make(StoredAnnotation said) {
        def one = PathObjects.createAnnotationObject(Shapes.roi(said.shape(), ImagePlane.getDefaultPlane()))
        one.setID(UUID.fromString(said.id()))
        one
    }

    private static PathObject reshape(PathObject one, StoredAnnotation said) {
        def roi = Shapes.roi(said.shape(), ImagePlane.getDefaultPlane())
        if (!Shapes.same(one.getROI(), roi))
            one.setROI(roi)
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
        measured.getMeasurementNames().findAll { !said.measurements().containsKey(it) }.toArray().each { measured.remove(it as String) }
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

    private static String report(SyncAnswer answer) {
        def counts = answer.actions().countBy { it.held() ? "waits (${it.action()})".toString() : it.refused() ? 'refused' : it.action() }
        def parts = counts.collect { action, count -> "${count} ${action}" } ?: ['nothing to do']
        def text = "${parts.join(', ')}, ${answer.unchanged()} unchanged.".toString()
        def told = answer.actions().findAll { it.conflict() || it.refused() }.take(5).collect { "${it.id()}: ${it.reason()}" }
        told ? "${text} ${told.join('; ')}".toString() : text
    }
}
