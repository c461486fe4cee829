package io.wsisam.qupath

import io.wsisam.client.segmentation.Outline
import io.wsisam.client.segmentation.PointPrompt
import io.wsisam.script.Draft
import io.wsisam.script.Settings
import io.wsisam.script.finishing.Finished
import io.wsisam.script.finishing.Finishing
import io.wsisam.script.finishing.Neighbour
import org.locationtech.jts.geom.Geometry
import qupath.lib.regions.ImageRegion

/** Fits a draft's outline between the annotations of its image, as the user has switched it on; see {@link io.wsisam.script.finishing.Finishing}. Any thread. */
class Finisher {
    private final Settings settings

    Finisher(Settings settings) {
        this.settings = settings
    }

    /** @return null where nothing is switched on */
    Finished finish(PlaneSession plane, Draft draft, Outline outline) {
        def finishing = settings.finishing()
        if (!finishing.isOn())
            return null
        try {
            return fitted(finishing, plane, draft, Annotations.geometry(outline))
        } catch (RuntimeException mistake) {        // the outline is shown as the model drew it, and accepted so
            Notifications.logDefect(mistake)
            return null
        }
    }

    private Finished fitted(Finishing finishing, PlaneSession plane, Draft draft, Geometry area) {
        def clicks = draft.prompt().points().findAll { PointPrompt it -> it.positive() }.collect { [it.x(), it.y()] as double[] }
        finishing.finish(area, clicks, settings.className(), neighbours(plane, draft, area))
    }

    private static List<Neighbour> neighbours(PlaneSession plane, Draft draft, area) {
        def box = area.getEnvelopeInternal()
        int x = Math.floor(box.getMinX()) as int, y = Math.floor(box.getMinY()) as int
        def region = ImageRegion.createInstance(x, y, Math.ceil(box.getMaxX() - x) as int, Math.ceil(box.getMaxY() - y) as int, plane.plane.getZ(), plane.plane.getT())
        plane.imageData.getHierarchy().getAnnotationsForRegion(region, null).findAll {
            it.getROI()?.isArea() && it.getID().toString() != draft.id() && !AnnotationSelection.isIgnored(it)
        }.collect { new Neighbour(it.getID().toString(), it.getROI().getGeometry(), it.getPathClass()?.toString() ?: '', AnnotationSelection.isRegion(it)) }
    }
}
