package io.wsisam.qupath

import qupath.lib.objects.PathObject
import qupath.lib.roi.interfaces.ROI

/** Gives annotations other regions. Nothing is fired: the caller says once that the hierarchy has changed. */
class Reshaping {

    /** Not QuPath's updateObject, which takes an object out of its parent and leaves its children behind. */
    static void reshape(PathObject annotation, ROI roi) {
        Measurements.keeping(annotation) { annotation.setROI(roi) }
    }

    /** Children that do not lie in the new outline go to the annotation's own parent; how many. */
    static int letOut(PathObject annotation) {
        def roi = annotation.getROI()
        def area = roi.getGeometry()
        def outside = annotation.getChildObjects().findAll { child ->
            def own = child.getROI()
            own != null && (child.isDetection() ? !roi.contains(own.getCentroidX(), own.getCentroidY()) : !area.covers(own.getGeometry()))
        }
        if (outside) {
            def parent = annotation.getParent()
            annotation.removeChildObjects(outside)
            parent.addChildObjects(outside)
        }
        outside.size()
    }
}
