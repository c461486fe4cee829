package io.wsisam.qupath

import io.wsisam.client.WsiSamClient
import io.wsisam.client.segmentation.Exemplar
import io.wsisam.client.segmentation.LikeProposal
import io.wsisam.client.slides.Slide
import io.wsisam.script.LikeChoice
import io.wsisam.script.Settings
import qupath.lib.images.ImageData
import qupath.lib.objects.PathObject
import qupath.lib.roi.interfaces.ROI

/**
 * Rounds of one search in one image: what is accepted and rejected shows the next round what is meant. The connection stays open
 * between them, and with it the pixels that were sent. Its methods block: not on the JavaFX thread.
 */
class LikeRounds implements Closeable {
    /** Exemplars of one kind that are sent; the server takes 200 of both. */
    private static final int MOST = 90

    final ROI region
    private final ImageData imageData
    private final Map parameters
    private final List<PathObject> shown
    private final List<Exemplar> exemplars
    private final List<PathObject> accepted = []
    private final List<Exemplar> rejected = []
    private final WsiSamClient client
    private Slide slide

    /** @param project whose other images show exemplars, too, where the parameters say so; or null */
    LikeRounds(ImageData imageData, Map parameters, ROI region, project) {
        this.imageData = imageData
        this.parameters = parameters
        this.region = region
        def chosen = new LikeExemplars(imageData, parameters)
        shown = chosen.positive()
        client = WsiSamClient.connect(Settings.user().clientOptions())
        try {
            exemplars = LikeExemplars.of(shown, true) + LikeExemplars.of(chosen.negative(), false) +
                    chosen.ofProject(client, project, project?.getEntry(imageData))
        } catch (RuntimeException failed) {
            client.close()
            throw failed
        }
        chosen.notes.each { Notifications.show("WSI-SAM: ${it}") }
    }

    /** How many objects show what is looked for. */
    int count() {
        exemplars.count { it.positive() } + accepted.size()
    }

    int rejectedCount() {
        rejected.size()
    }

    /** One round; null when it was cancelled. */
    LikeChoice search(LikeSearch search, Closure changed) {
        slide = slide ?: WsiSamClient.await(client.openSlide(Images.reference(imageData, region.getImagePlane(), Settings.user().sendPixels())))
        def all = exemplars + LikeExemplars.of(accepted.takeRight(MOST), true) + rejected.takeRight(MOST)
        def existing = LikeSearch.existing(imageData, region, shown + accepted)
        if (!search.run(client, slide, region, existing, all, LikeChoice.LEAST_ASKED, Like.options(parameters), null, changed))
            return null
        new LikeChoice(search.proposals.toList(), search.likeness?.unsure() ?: false)
    }

    /** Keeps what was decided for the next round. */
    void decided(List<PathObject> taken, List<LikeProposal> notMeant) {
        accepted.addAll(taken)
        rejected.addAll(notMeant.collect { Exemplar.of(it.result().outline().parts()).negative() })
    }

    @Override
    void close() {
        if (slide != null)
            WsiSamClient.await(client.closeSlide(slide).exceptionally { unreached -> null })
        client.close()
    }
}
