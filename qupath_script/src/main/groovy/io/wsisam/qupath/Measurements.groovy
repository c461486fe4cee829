package io.wsisam.qupath

import qupath.lib.objects.PathObject

/** An object's measurements while its shape changes: QuPath forgets all of them then, also what somebody typed in. */
class Measurements {
    /** Names that QuPath gives to what it measures of a shape or in it; a name that somebody made up is not among them. */
    private static final OF_A_SHAPE = ~/(?i).*\b(area|length|perimeter|circularity|solidity|eccentricity|(max|min) (diameter|caliper)|centroid [xy]|num \w+|.*per (mm|\u00b5m|um)\b.*|positive %|h-score|allred .*|mean|median|std\.? ?dev\.?|min|max|haralick .*)\b.*/

    /** Changes an object's shape; its measurements stay. */
    static void keeping(PathObject one, Closure change) {
        def measured = one.getMeasurementList()
        def values = measured.getMeasurementNames().toList().collectEntries { [(it): measured.get(it)] }
        change()
        def after = one.getMeasurementList()
        values.each { name, value -> after.put(name, value as double) }
        after.close()
    }

    /** Those that are likely to be of the shape that the object has now, and would be others for another shape. */
    static List<String> ofShape(PathObject one) {
        one.getMeasurementList().getMeasurementNames().findAll { it ==~ OF_A_SHAPE }.toList()
    }
}
