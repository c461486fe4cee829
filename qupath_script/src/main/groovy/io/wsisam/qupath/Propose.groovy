package io.wsisam.qupath

import io.wsisam.client.WsiSamClient
import io.wsisam.client.annotations.AnnotationShape
import io.wsisam.client.segmentation.PromptResult
import io.wsisam.client.segmentation.ProposalFilter
import io.wsisam.client.segmentation.SegmentOptions
import io.wsisam.client.segmentation.SurveyListener
import io.wsisam.client.segmentation.SurveyResult
import io.wsisam.client.slides.Slide
import io.wsisam.script.AnnotationMetadata
import io.wsisam.script.Settings
import io.wsisam.script.WorkflowStep
import qupath.lib.images.ImageData
import qupath.lib.objects.PathObject
import qupath.lib.objects.PathObjects
import qupath.lib.objects.classes.PathClass
import qupath.lib.roi.interfaces.ROI

import java.util.concurrent.ConcurrentLinkedQueue

/**
 * All objects of some size in annotations that are there already, as their children. What lies in them stays, and nothing is
 * proposed in its place.
 *
 * The image is changed once, at the end. After a cancel, what was found until then is added; when the server fails, nothing
 * is. For scripts: blocks until it is done, so never on the JavaFX thread.
 */
class Propose {
    /** What to do; all plain values, so that a workflow step can hold it. */
    static Map defaults() {
        [which: 'selected', ids: '', minSize: 0d, maxSize: 0d, className: '', kind: 'annotation', minScore: 0d, minStability: 0d,
         minAgreement: 0d, model: '', tolerance: 0d]
    }

    private final ImageData imageData
    private final Map parameters
    private Slide slide         // as it was opened last

    /**
     * @param parameters which and ids (the regions, as `AnnotationSelection` takes them), minSize and maxSize (microns, or
     *        pixels without calibration), className of what is found ('' = none), kind ('annotation' or 'detection'), minScore,
     *        minStability and minAgreement (0 = the server's choice), model ('' = the server's default), tolerance (0 = the server's
     *        choice)
     */
    Propose(ImageData imageData, Map parameters) {
        this.imageData = imageData
        this.parameters = defaults() + parameters
    }

    /** @return a sentence or two for the user */
    static String run(ImageData imageData, Map parameters, monitor = null) {
        new Propose(imageData, parameters).run(monitor)
    }

    String run(monitor) {
        if (!(parameters.kind in ['annotation', 'detection']))
            throw new IllegalArgumentException("'kind' is annotation or detection, not ${parameters.kind}")
        // What is marked as of no interest is surveyed only when it is selected.
        def regions = AnnotationSelection.of(imageData, parameters).findAll {
            it.getROI()?.isArea() && !it.getROI().isEmpty() && !(parameters.which == 'all' && AnnotationSelection.isIgnored(it))
        }
        if (regions.isEmpty())
            return 'WSI-SAM: no annotation with an area to look in. Select one, or say which with \'which\'.'
        def found = [:]
        def cancelled = false
        monitor?.startMonitoring('WSI-SAM: proposing objects', 1000, true)
        try {
            Steps.withClient { client ->
                regions.eachWithIndex { region, i ->
                    if (cancelled)
                        return
                    def answers = new ConcurrentLinkedQueue<PromptResult>()
                    cancelled = survey(client, region, found, answers, monitor, 1000d * i / regions.size(), 1000d / regions.size()).cancelled()
                    found[region] = answers.collect { create(it, region) }
                }
            }
            add(found)
            record(regions)
        } finally {
            monitor?.pluginCompleted('')
        }
        def count = found.values().sum { it.size() }
        "WSI-SAM: ${objects(count)} proposed in ${found.size()} of ${regions.size()} annotations." +
                [slide.pixelSize().warning(), cancelled ? 'Cancelled before the end.' : ''].findAll().collect { " ${it}" }.join('')
    }

    /** What was proposed in regions before counts as existing: they may overlap. */
    private SurveyResult survey(WsiSamClient client, PathObject region, Map<PathObject, List<PathObject>> before, Queue<PromptResult> answers, monitor,
                                double start, double share) {
        def plane = region.getROI().getImagePlane()
        Steps.withSlide(client, Images.reference(imageData, plane, Settings.user().sendPixels())) { opened ->
            slide = opened
            surveySlide(client, region, before, answers, monitor, start, share)
        }
    }

    private SurveyResult surveySlide(WsiSamClient client, PathObject region, Map<PathObject, List<PathObject>> before, Queue<PromptResult> answers, monitor,
                                     double start, double share) {
        def options = new SegmentOptions(parameters.model.toString(), set('tolerance'), null)
        def filter = new ProposalFilter(parameters.minSize as double, parameters.maxSize as double, set('minScore'), set('minStability'), set('minAgreement'), null)
        double reported = start
        def survey = client.survey(slide, Shapes.of(region.getROI()), existing(imageData.getHierarchy().getAllObjects(false).toList() - region + before.values().flatten(), region.getROI()), filter, options, new SurveyListener() {
            @Override
            void onProposal(PromptResult result) {
                answers.add(result)
            }

            @Override
            void onProgress(int done, int total) {
                double now = start + share * done / Math.max(total, 1)
                int steps = (int) now - (int) reported
                reported = now
                monitor?.updateProgress(steps, "${done} of ${total} windows, ${objects(answers.size())}".toString(), null)
            }
        })
        Steps.waitFor(survey.result(), monitor) { survey.cancel() }
    }

    static String objects(int count) {
        count == 1 ? '1 object' : "${count} objects"
    }

    private Double set(String name) {
        (parameters[name] as double) > 0 ? parameters[name] as Double : null
    }

    /** Of some objects the areas on a region's plane that meet its bounds, but for those that only say where to look; those of quite another size, the server leaves out. */
    static List<AnnotationShape> existing(Collection<PathObject> there, ROI roi) {
        def meets = { PathObject one ->
            def other = one.getROI()
            !AnnotationSelection.isRegion(one) && other?.isArea() && !other.isEmpty() && other.getImagePlane() == roi.getImagePlane() &&
                    other.getBoundsX() < roi.getBoundsX() + roi.getBoundsWidth() && roi.getBoundsX() < other.getBoundsX() + other.getBoundsWidth() &&
                    other.getBoundsY() < roi.getBoundsY() + roi.getBoundsHeight() && roi.getBoundsY() < other.getBoundsY() + other.getBoundsHeight()
        }
        there.findAll(meets).collect { Shapes.of(it.getROI()) }.findAll { it != null }
    }

    private PathObject create(PromptResult result, PathObject region) {
        def roi = Annotations.roi(result.outline(), region.getROI().getImagePlane())
        def pathClass = parameters.className ? PathClass.fromString(parameters.className.toString()) : null
        def made = parameters.kind == 'detection' ? PathObjects.createDetectionObject(roi, pathClass) : PathObjects.createAnnotationObject(roi, pathClass)
        made.setID(UUID.fromString(result.objectId()))
        made.getMetadata().putAll(AnnotationMetadata.of(result, ''))
        made
    }

    private void add(Map<PathObject, List<PathObject>> found) {
        found.each { region, made -> region.addChildObjects(made) }
        if (found.values().any { !it.isEmpty() })
            imageData.getHierarchy().fireHierarchyChangedEvent(this)
    }

    private void record(List<PathObject> regions) {
        def call = '// Looks again in these annotations; what is there already is not proposed again.\n' +
                'println io.wsisam.qupath.Propose.run(getCurrentImageData(), '
        Steps.add(imageData, WorkflowStep.of('WSI-SAM propose objects', AnnotationSelection.repeatable(parameters, regions), call, ')\n'))
    }
}
