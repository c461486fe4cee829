package io.wsisam.qupath

import io.wsisam.client.WsiSamClient
import io.wsisam.client.segmentation.Exemplar
import io.wsisam.client.segmentation.SegmentOptions
import io.wsisam.script.Settings
import io.wsisam.script.WorkflowStep
import qupath.lib.images.ImageData
import qupath.lib.objects.PathObject
import qupath.lib.roi.ROIs
import qupath.lib.roi.interfaces.ROI
import qupath.lib.regions.ImagePlane

/**
 * Everything in some regions that looks like annotations which are there already, without a window: for 'Run for project',
 * the command line and workflow steps. Blocks until it is done, so never on the JavaFX thread.
 */
class Like {
    /** What to do; all plain values, so that a workflow step can hold it. */
    static Map defaults() {
        [like: 'selected', ids: '', unlike: '', of: 'image', which: 'view', howSure: 0d, kind: 'annotation', model: '', tolerance: 0d]
    }

    private final ImageData imageData
    private final Map parameters

    Like(ImageData imageData, Map parameters) {
        this.imageData = imageData
        this.parameters = defaults() + parameters
        if (!(this.parameters.kind in ['annotation', 'detection']))
            throw new IllegalArgumentException("'kind' is annotation or detection, not ${this.parameters.kind}")
        if (!(this.parameters.of in ['image', 'project']))
            throw new IllegalArgumentException("'of' is image or project, not ${this.parameters.of}")
    }

    /**
     * @param parameters as at the top of WsiSamLike.groovy, and ids
     * @param project that the image is of, or null
     * @return a sentence or two for the user
     */
    static String run(ImageData imageData, Map parameters, project = null, monitor = null) {
        new Like(imageData, parameters).search(project, monitor)
    }

    static SegmentOptions options(Map parameters) {
        double tolerance = parameters.tolerance as double
        new SegmentOptions(parameters.model.toString(), tolerance > 0 ? tolerance : null, null)
    }

    private String search(project, monitor) {
        def chosen = new LikeExemplars(imageData, parameters)
        def positive = chosen.positive()
        def regions = regions(positive)
        if (regions.isEmpty())
            return 'WSI-SAM: no region to look in. Say which with \'which\'.'
        def made = [:]
        boolean whole = true, unsure = false
        def notes = []
        int shown = 0
        monitor?.startMonitoring('WSI-SAM: finding more like this', 1000, true)
        try {
            Steps.withClient { client ->
                def exemplars = LikeExemplars.of(positive, true) + LikeExemplars.of(chosen.negative(), false) +
                        chosen.ofProject(client, project, project?.getEntry(imageData))
                shown = exemplars.count { it.positive() }
                if (shown == 0)
                    return
                regions.eachWithIndex { region, i ->
                    if (!whole)
                        return
                    def search = new LikeSearch()
                    whole = Steps.withSlide(client, Images.reference(imageData, region.getImagePlane(), Settings.user().sendPixels())) { slide ->
                        int reported = 0
                        boolean ended = search.run(client, slide, region, existing(region, positive, made), exemplars, howSure(), options(parameters), monitor) {
                            int now = (int) (1000d / regions.size() * search.done / Math.max(search.total, 1))
                            monitor?.updateProgress(now - reported, "${search.done} of ${search.total} windows, ${Propose.objects(search.proposals.size())}".toString(), null)
                            reported = now
                        }
                        notes << slide.pixelSize().warning()
                        ended
                    }
                    unsure |= search.likeness?.unsure() ?: false
                    made[region] = search.proposals.collect { LikeSearch.create(it, region, parameters.kind.toString()) }
                }
            }
        } finally {
            monitor?.pluginCompleted('')
        }
        if (shown == 0)
            return (['WSI-SAM: no annotation shows what to look for. Select some, or say which with \'like\'.'] + chosen.notes).join(' ')
        def found = made.values().flatten()
        imageData.getHierarchy().addObjects(found)
        record(positive)
        (["WSI-SAM: ${Propose.objects(found.size())} like ${shown == 1 ? 'the one' : "the ${shown}"} shown, in ${regions.size() == 1 ? '1 region' : "${regions.size()} regions"}."] +
                (unsure ? ['These exemplars do not tell their kind from the rest: only the likeliest were taken. Show more of them.'] : []) +
                (whole ? [] : ['Cancelled before the end.']) + chosen.notes + notes.findAll().unique()).join(' ')
    }

    private Double howSure() {
        double said = parameters.howSure as double
        said > 0 ? said : null
    }

    private List existing(ROI region, List<PathObject> shown, Map<ROI, List<PathObject>> before) {
        LikeSearch.existing(imageData, region, shown) + Propose.existing(before.values().flatten(), region)
    }

    private List<ROI> regions(List<PathObject> shown) {
        def which = parameters.which.toString()
        def server = imageData.getServer()
        if (which == 'image')
            return [ROIs.createRectangleROI(0, 0, server.getWidth(), server.getHeight(), ImagePlane.getDefaultPlane())]
        if (which.startsWith('box:')) {
            def box = which.substring('box:'.length()).split(',')*.toDouble()
            return [ROIs.createRectangleROI(box[0], box[1], box[2], box[3], ImagePlane.getDefaultPlane())]
        }
        if (which == 'view')
            return []       // there is none
        AnnotationSelection.of(imageData, [which: which]).findAll { one -> one.getROI()?.isArea() && !one.getROI().isEmpty() && !shown.any { it.is(one) } }*.getROI()
    }

    private void record(List<PathObject> shown) {
        def values = parameters + (AnnotationSelection.isSelection(parameters.like) ? [like: 'ids', ids: shown*.getID().join(',')] : [:])
        Steps.add(imageData, WorkflowStep.of('WSI-SAM find more like this', values, STEP, ', getProject())\n'))
    }

    static final String STEP = '// Looks again; what is there already is not proposed again.\n' +
            'println io.wsisam.qupath.Like.run(getCurrentImageData(), '
}
