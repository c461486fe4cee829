package io.wsisam.qupath

import io.wsisam.client.WsiSamClient
import io.wsisam.client.connection.WsiSamException
import io.wsisam.client.segmentation.BatchItem
import io.wsisam.client.segmentation.BatchListener
import io.wsisam.client.segmentation.BoxPrompt
import io.wsisam.client.segmentation.Failure
import io.wsisam.client.segmentation.PointPrompt
import io.wsisam.client.segmentation.Prompt
import io.wsisam.client.segmentation.PromptRequest
import io.wsisam.client.segmentation.PromptResult
import io.wsisam.client.segmentation.Refinement
import io.wsisam.client.segmentation.SegmentOptions
import io.wsisam.client.slides.Slide
import io.wsisam.script.Settings
import io.wsisam.script.WorkflowStep
import qupath.lib.images.ImageData
import qupath.lib.objects.PathObject
import qupath.lib.regions.ImagePlane
import qupath.lib.roi.RectangleROI
import qupath.lib.roi.interfaces.ROI

import java.util.concurrent.CancellationException
import java.util.concurrent.ConcurrentHashMap

/**
 * Annotations that are there already, outlined anew: each one's shape, box or points are the prompt, and points of an ignored
 * class near it are negative clicks. What is locked, a line, or of class Region* or another ignored one, is never changed.
 *
 * The image is changed once, at the end, in one step that QuPath undoes as one; when the work is cancelled or the server
 * fails as a whole, it is not changed at all. For scripts: blocks until it is done, so never on the JavaFX thread.
 */
class Refine {
    private static final int MOST_REASONS = 3, MOST_NAMES = 8

    /**
     * How far from an annotation's points a negative click counts at least, in microns and in pixels: half of what the server
     * reads about a click that comes without a view. One farther away would only make it read more coarsely.
     */
    private static final double NEAR_MICRONS = 64, NEAR_PIXELS = 128

    /** What to do; all plain values, so that a workflow step can hold it. */
    static Map defaults() {
        [which: 'selected', ids: '', prompt: 'shape', margin: 0d, border: 0d, model: '', tolerance: 0d]
    }

    private final ImageData imageData
    private final Map parameters
    private final List<ROI> ignored
    private Slide slide         // as it was opened last
    private int left            // children that do not lie in the new outlines
    private List<String> measuredBefore = []
    private final Map<String, PromptResult> answers = new ConcurrentHashMap<>()
    private final Map<String, WsiSamException> failures = new ConcurrentHashMap<>()

    /**
     * @param parameters which and ids (the annotations, as `AnnotationSelection` takes them),
     *        prompt ('shape': a drawn outline is the prompt, a rectangle its box; 'box': always the box),
     *        margin (microns, or pixels without calibration, that a box is widened by),
     *        border (microns for each pixel, or pixels, at which borders of large objects are refined; 0 = they are not),
     *        model ('' = the server's default), tolerance (0 = the server's choice)
     */
    Refine(ImageData imageData, Map parameters) {
        this.imageData = imageData
        this.parameters = defaults() + parameters
        if (!(this.parameters.prompt.toString() in ['shape', 'box']))
            throw new IllegalArgumentException("prompt is 'shape' or 'box'.")
        ignored = imageData.getHierarchy().getAnnotationObjects().findAll { it.getROI()?.isPoint() && AnnotationSelection.isIgnored(it) }*.getROI()
    }

    /** @return a sentence or two for the user */
    static String run(ImageData imageData, Map parameters, monitor = null) {
        new Refine(imageData, parameters).run(monitor)
    }

    String run(monitor) {
        def chosen = AnnotationSelection.of(imageData, parameters)
        if (chosen.isEmpty() && AnnotationSelection.isSelection(parameters.which))
            return 'WSI-SAM: no annotation is selected, so nothing was changed. Select those to outline, or say which: all, or class:NAME.'
        def (left, open) = chosen.split { whyNot(it) != null }
        def skipped = left ? " ${left.size()} skipped: ${left.countBy { whyNot(it) }.collect { reason, n -> "${n} ${reason}" }.join(', ')}.".toString() : ''
        if (open.isEmpty())
            return "WSI-SAM: no annotation to refine.${skipped}".toString()
        def before = open.collectEntries { [(it.getID()): it.getROI()] }
        monitor?.startMonitoring('WSI-SAM: refining annotations', open.size() + 1, true)
        try {
            if (!segmentAll(open, monitor))
                return 'WSI-SAM: cancelled, nothing was changed.'
            def changed = apply(before)
            if (changed > 0)
                record(open)
            return report(changed, open.size(), skipped)
        } finally {
            monitor?.pluginCompleted('')
        }
    }

    // -- What to ask -----------------------------------------------------------------------------------------------

    /** Why an annotation stays as it is, in a word or two; null when it does not. */
    private String whyNot(PathObject annotation) {
        if (annotation.isLocked())
            return 'locked'
        if (AnnotationSelection.isRegion(annotation) || AnnotationSelection.isIgnored(annotation))
            return "of class ${annotation.getPathClass()}".toString()
        if (annotation.getROI()?.isLine())
            return 'a line'
        prompt(annotation) == null ? 'without a usable region' : null
    }

    /** Points as clicks, any other region as its shape or its box, with the negative clicks near it; null when there is nothing to ask for. */
    private Prompt prompt(PathObject annotation) {
        def roi = annotation.getROI()
        if (roi == null || roi.isEmpty())
            return null
        if (roi.isPoint()) {
            double near = Math.max(Math.max(roi.getBoundsWidth(), roi.getBoundsHeight()) / 2,
                    imageData.getServer().getPixelCalibration().hasPixelSizeMicrons() ? pixels(NEAR_MICRONS) : NEAR_PIXELS)
            return new Prompt(roi.getAllPoints().collect { new PointPrompt(it.getX(), it.getY(), true) } +
                    negatives(roi, roi.getBoundsX() - near, roi.getBoundsY() - near,
                              roi.getBoundsX() + roi.getBoundsWidth() + near, roi.getBoundsY() + roi.getBoundsHeight() + near), null)
        }
        def server = imageData.getServer()
        double margin = pixels(parameters.margin)
        def x0 = Math.max(0d, roi.getBoundsX() - margin)
        def y0 = Math.max(0d, roi.getBoundsY() - margin)
        def x1 = Math.min(server.getWidth() as double, roi.getBoundsX() + roi.getBoundsWidth() + margin)
        def y1 = Math.min(server.getHeight() as double, roi.getBoundsY() + roi.getBoundsHeight() + margin)
        if (x0 >= x1 || y0 >= y1)
            return null
        // A rectangle says where an object is, and not what it looks like.
        def shape = parameters.prompt.toString() == 'box' || roi instanceof RectangleROI ? [] : Shapes.prompt(roi)
        shape ? new Prompt(negatives(roi, x0, y0, x1, y1), null, shape, null) : new Prompt(negatives(roi, x0, y0, x1, y1), new BoxPrompt(x0, y0, x1, y1))
    }

    /** The points of ignored classes on a region's plane that lie between these edges and on the image. */
    private List<PointPrompt> negatives(ROI roi, double x0, double y0, double x1, double y1) {
        def server = imageData.getServer()
        ignored.findAll { it.getImagePlane() == roi.getImagePlane() }.collectMany { it.getAllPoints() }
                .findAll { it.getX() >= Math.max(0d, x0) && it.getY() >= Math.max(0d, y0) && it.getX() <= x1 && it.getY() <= y1 &&
                        it.getX() < server.getWidth() && it.getY() < server.getHeight() }
                .collect { new PointPrompt(it.getX(), it.getY(), false) }
    }

    private double pixels(length) {
        def calibration = imageData.getServer().getPixelCalibration()
        (length as double) / (calibration.hasPixelSizeMicrons() ? calibration.getAveragedPixelSizeMicrons() as double : 1d)
    }

    /** Asks for all, plane by plane; false when the user cancelled. */
    private boolean segmentAll(List<PathObject> annotations, monitor) {
        def options = new SegmentOptions(parameters.model.toString(), (parameters.tolerance as double) > 0 ? parameters.tolerance as Double : null, null)
        Steps.withClient { client ->
            annotations.groupBy { it.getROI().getImagePlane() }.every { plane, here -> askPlane(client, plane, here, options, monitor) }
        }
    }

    private boolean askPlane(WsiSamClient client, ImagePlane plane, List<PathObject> annotations, SegmentOptions options, monitor) {
        Steps.withSlide(client, Images.reference(imageData, plane, Settings.user().sendPixels())) { opened ->
            slide = opened
            askSlide(client, annotations, options, monitor)
        }
    }

    private boolean askSlide(WsiSamClient client, List<PathObject> annotations, SegmentOptions options, monitor) {
        if ((parameters.border as double) > 0)
            return annotations.every { askBorder(client, it, options, monitor) }
        def items = annotations.collect { new BatchItem(it.getID().toString(), PromptRequest.of(prompt(it))) }
        def batch = client.segmentBatch(slide, items, options, new BatchListener() {
            @Override
            void onOutline(PromptResult result) {
                answers.put(result.objectId(), result)
                monitor?.updateProgress(1, 'Outlining', null)
            }

            @Override
            void onFailed(Failure failure) {
                failures.put(failure.objectId(), failure.error())
                monitor?.updateProgress(1, 'Outlining', null)
            }
        })
        !Steps.waitFor(batch.result(), monitor) { batch.cancel() }.cancelled()
    }

    /** One with its border refined: on a stream, which a slide by pixels needs for it, and which waits for each window anew. */
    private boolean askBorder(WsiSamClient client, PathObject annotation, SegmentOptions options, monitor) {
        def id = annotation.getID().toString()
        def asked = client.replay(slide, [PromptRequest.of(prompt(annotation)).refined(Refinement.to(pixels(parameters.border)))], options)
        try {
            answers.put(id, Steps.waitFor(asked, monitor) { asked.cancel(true) })
        } catch (WsiSamException failed) {
            failures.put(id, failed)
        } catch (CancellationException byTheUser) {
            return false
        }
        monitor?.updateProgress(1, 'Outlining', null)
        true
    }

    // -- What to change --------------------------------------------------------------------------------------------

    /** Gives the annotations their new regions, all or none; those that were changed or removed meanwhile stay as they are. */
    private int apply(Map<UUID, ROI> before) {
        def hierarchy = imageData.getHierarchy()
        def now = hierarchy.getAnnotationObjects().findAll { it.getID() in before.keySet() && sameRegion(it.getROI(), before[it.getID()]) }
        def fresh = now.collectMany { annotation ->
            def result = answers.get(annotation.getID().toString())
            def roi = result == null || result.outline().isEmpty() ? null : Annotations.roi(result.outline(), annotation.getROI().getImagePlane())
            roi == null ? [] : [[annotation: annotation, roi: roi, result: result, old: annotation.getROI(), oldMetadata: new LinkedHashMap(annotation.getMetadata())]]
        }
        try {
            fresh.each {
                Reshaping.reshape(it.annotation, it.roi)
                Annotations.describe(it.annotation, it.result, [it.result.request()])
            }
            fresh.each { left += Reshaping.letOut(it.annotation) }
        } catch (Throwable problem) {
            fresh.each {
                Reshaping.reshape(it.annotation, it.old)
                it.annotation.getMetadata().clear()
                it.annotation.getMetadata().putAll(it.oldMetadata)
            }
            throw problem
        } finally {
            if (fresh)
                hierarchy.fireHierarchyChangedEvent(this)       // once: one step to undo
        }
        measuredBefore = fresh.collectMany { Measurements.ofShape(it.annotation) }.unique()
        fresh.size()
    }

    private static boolean sameRegion(ROI a, ROI b) {
        a.is(b) || (a.getRoiName() == b.getRoiName() && a.getAllPoints() == b.getAllPoints())
    }

    private void record(List<PathObject> annotations) {
        def call = '// Outlines these annotations again, from the regions that they have then.\n' +
                'println io.wsisam.qupath.Refine.run(getCurrentImageData(), '
        Steps.add(imageData, WorkflowStep.of('WSI-SAM refine annotations', AnnotationSelection.repeatable(parameters, annotations), call, ')\n'))
    }

    private String report(int changed, int asked, String skipped) {
        def empty = answers.values().count { it.outline().isEmpty() }
        def text = new StringBuilder("WSI-SAM: ${changed} of ${asked} annotations refined.${skipped}")
        if (empty)
            text << " ${empty} left as they were: the model found nothing there."
        def finer = answers.values().collect { it.outline() }.findAll { it.isRefined() }
        if (finer)
            text << " ${finer.size()} with a finer border, in ${finer.sum { it.borderWindows() }} windows."
        def truncated = answers.values().count { it.outline().truncated() }
        if (truncated)
            text << " ${truncated} less fine than asked for: that would have needed too many windows."
        if (failures) {
            text << " ${failures.size()} left as they were:"
            failures.values().countBy { it.text() }.sort { -it.value }.take(MOST_REASONS).each { reason, n -> text << " ${n} x ${reason}" }
        }
        def moved = asked - changed - empty - failures.size()
        if (moved > 0)
            text << " ${moved} changed or removed meanwhile: left alone."
        if (left)
            text << " ${left} objects do not lie in the new outlines and are no children of theirs any more."
        if (measuredBefore)
            text << " Measurements of the former outlines were kept, measure again: ${measuredBefore.take(MOST_NAMES).join(', ')}${measuredBefore.size() > MOST_NAMES ? ' ...' : ''}."
        def size = slide.pixelSize().warning()
        if (size)
            text << " ${size}"
        text.toString()
    }
}
