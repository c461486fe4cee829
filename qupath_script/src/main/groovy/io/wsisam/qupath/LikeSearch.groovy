package io.wsisam.qupath

import io.wsisam.client.WsiSamClient
import io.wsisam.client.annotations.AnnotationShape
import io.wsisam.client.segmentation.Exemplar
import io.wsisam.client.segmentation.LikeListener
import io.wsisam.client.segmentation.LikeProposal
import io.wsisam.client.segmentation.Likeness
import io.wsisam.client.segmentation.SegmentOptions
import io.wsisam.client.segmentation.Survey
import io.wsisam.client.slides.Slide
import io.wsisam.script.AnnotationMetadata
import qupath.lib.images.ImageData
import qupath.lib.objects.PathObject
import qupath.lib.objects.PathObjects
import qupath.lib.objects.classes.PathClass
import qupath.lib.roi.interfaces.ROI

import java.util.concurrent.ConcurrentLinkedQueue

/** One region's search for what looks like exemplars, with one server. Its methods block: not on the JavaFX thread. */
class LikeSearch {
    final Queue<LikeProposal> proposals = new ConcurrentLinkedQueue<>()
    volatile Likeness likeness
    volatile int done
    volatile int total

    private volatile Survey survey
    private volatile boolean cancelled

    /**
     * Searches, until it is done or cancelled.
     *
     * @param existing objects that none is proposed in the place of
     * @param minSimilarity how sure a proposal must be; null for the server's choice
     * @param changed called as it goes on, on any thread
     * @return whether it came to its end
     */
    boolean run(WsiSamClient client, Slide slide, ROI region, List<AnnotationShape> existing, List<Exemplar> exemplars, Double minSimilarity,
                SegmentOptions options, monitor = null, Closure changed = {}) {
        def search = this
        survey = client.findLike(slide, Shapes.of(region), existing, exemplars, minSimilarity, options, new LikeListener() {
            @Override
            void onProposal(LikeProposal proposal) {
                search.proposals.add(proposal)
            }

            @Override
            void onProgress(int windows, int all) {
                search.done = windows
                search.total = all
                changed()
            }

            @Override
            void onLikeness(Likeness now) {
                search.likeness = now
            }
        })
        if (cancelled)
            survey.cancel()
        !Steps.waitFor(survey.result(), monitor) { survey.cancel() }.cancelled()
    }

    void cancel() {
        cancelled = true
        survey?.cancel()
    }

    /** A proposal as an object of an image, which says how it came about. */
    static PathObject create(LikeProposal proposal, ROI region, String kind) {
        def result = proposal.result()
        def roi = Annotations.roi(result.outline(), region.getImagePlane())
        def pathClass = proposal.className() ? PathClass.fromString(proposal.className()) : null
        def made = kind == 'detection' ? PathObjects.createDetectionObject(roi, pathClass) : PathObjects.createAnnotationObject(roi, pathClass)
        made.setID(UUID.fromString(result.objectId()))
        made.getMetadata().putAll(AnnotationMetadata.of(result, ''))
        made.getMetadata().put(AnnotationMetadata.SIMILARITY, String.format(Locale.ROOT, '%.3f', proposal.similarity()))
        made
    }

    /** What is in a region already, but for some; see `Propose.existing`. */
    static List<AnnotationShape> existing(ImageData imageData, ROI region, Collection<PathObject> not) {
        Propose.existing(imageData.getHierarchy().getAllObjects(false).findAll { one -> !not.any { it.is(one) } }, region)
    }
}
