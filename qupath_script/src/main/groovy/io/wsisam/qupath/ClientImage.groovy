package io.wsisam.qupath

import io.wsisam.client.annotations.AnnotationShape
import io.wsisam.client.annotations.StoredAnnotation
import io.wsisam.client.annotations.SyncResult
import qupath.lib.images.ImageData
import qupath.lib.objects.PathObject
import qupath.lib.objects.classes.PathClass

/** What an image holds, as far as the store can hold it; the rest is counted and named. */
class ClientImage {
    final String slideId
    final List<StoredAnnotation> annotations = []
    final Map<String, String> digests = [:]
    private final List<PathObject> sent = []
    final List<String> excludedIds = []
    final List<String> leftOut = []
    final Map<String, String> labels = [:]

    ClientImage(ImageData imageData, String slideId) {
        this.slideId = slideId
        def held = imageData.getHierarchy().getAnnotationObjects().toList()
        def several = held.countBy { it.getID() }.findAll { it.value > 1 }.keySet()
        held.each { PathObject one ->
            labels[one.getID().toString()] = label(one)
            def roi = one.getROI()
            def why = null
            AnnotationShape shape = null
            if (one.getID() in several)
                why = 'several objects of this image have this id; copy and delete all but one'
            else if (roi != null && (roi.getZ() != 0 || roi.getT() != 0))
                why = "on another plane (z ${roi.getZ()}, t ${roi.getT()})".toString()
            else if ((shape = Shapes.of(roi)) == null)
                why = 'without a shape'
            if (why == null) {
                def said = stored(one, slideId, shape)
                annotations << said
                digests[said.id()] = said.withShape(Shapes.kept(roi, shape)).digest()
                sent << one
            } else {
                excludedIds << one.getID().toString()
                leftOut << "${label(one)}: ${why}".toString()
            }
            def names = one.getMeasurementList().getMeasurementNames().findAll { !Double.isFinite(one.getMeasurementList().get(it)) }
            if (why == null && names)
                leftOut << "${label(one)}: only QuPath keeps what is not a number: ${names.take(5).join(', ')}${names.size() > 5 ? ' ...' : ''}".toString()
        }
        excludedIds.unique()
    }

    /** Names the shapes that the store has repaired, of what both sides now have as it was sent. */
    void noteRepaired(RepairedShapes shapes, SyncResult result) {
        def others = result.actions().findAll { it.held() || it.refused() || it.conflict() }*.id().toSet()
        others.addAll(result.put()*.id())
        others.addAll(result.remove())
        shapes.of(sent.findAll { !(it.getID().toString() in others) }).each { id, what -> leftOut << "${labels[id]}: ${what}".toString() }
    }

    /** Neither sends nor changes what is not wanted. */
    void leaveAlone(Closure<Boolean> wanted) {
        def others = sent.findAll { !wanted(it) }
        def ids = others.collect { it.getID().toString() }.toSet()
        annotations.removeAll { it.id() in ids }
        sent.removeAll(others)
        excludedIds.addAll(ids)
    }

    private static String label(PathObject one) {
        def named = [one.getName(), one.getPathClass()?.toString()].findAll { it }.join(', ')
        named ? "${named} (${one.getID()})".toString() : one.getID().toString()
    }

    /** An annotation as the store has it. */
    static StoredAnnotation stored(PathObject one, String slideId, AnnotationShape shape) {
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
}
