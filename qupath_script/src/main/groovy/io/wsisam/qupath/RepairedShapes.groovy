package io.wsisam.qupath

import io.wsisam.client.WsiSamClient
import io.wsisam.client.annotations.StoredAnnotation
import qupath.lib.objects.PathObject
import qupath.lib.regions.ImagePlane
import qupath.lib.roi.PolygonROI

import java.util.concurrent.CompletableFuture

/**
 * Annotations whose shapes are not valid, such as one with a hole outside its polygon. The store repairs them, and then has another
 * area than QuPath paints. An answer to a sync does not say so: what the store has is read, of these annotations alone.
 */
class RepairedShapes {
    /** Relative: areas that differ by less are the same but for rounding. As in `wsisam sync`. */
    private static final double SAME_AREA = 0.005

    private final WsiSamClient client

    RepairedShapes(WsiSamClient client) {
        this.client = client
    }

    /**
     * What became of shapes that are not valid.
     *
     * @param sent annotations of an image that both sides now have
     * @return for people, by id; nothing of those that cannot be read: the sync itself is done
     */
    Map<String, String> of(List<PathObject> sent) {
        // QuPath makes a valid geometry of a polygon that crosses itself, and takes long for it: that one was sent.
        def invalid = sent.findAll { it.getROI().isArea() && !(it.getROI() instanceof PolygonROI) && !it.getROI().getGeometry().isValid() }
        def asked = invalid.collectEntries { [(it): client.annotations().get(it.getID().toString()).exceptionally { unread -> null }] }
        asked.collectEntries { PathObject one, CompletableFuture<StoredAnnotation> found ->
            def said = difference(one, WsiSamClient.await(found))
            said == null ? [:] : [(one.getID().toString()): said]
        }
    }

    private static String difference(PathObject one, StoredAnnotation stored) {
        if (stored == null || stored.deleted())
            return null
        double here = one.getROI().getArea(), there = Shapes.roi(stored.shape(), ImagePlane.getDefaultPlane()).getArea()
        if (Math.abs(here - there) <= SAME_AREA * Math.max(here, there))
            return null
        String.format(Locale.ROOT, 'its shape is not valid, for example a hole outside its polygon: the store has it repaired, ' +
                'with %.0f square pixels, where QuPath counts %.0f', there, here)
    }
}
