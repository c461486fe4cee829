package io.wsisam.qupath

import groovy.transform.CompileStatic
import io.wsisam.client.segmentation.Outline
import io.wsisam.client.segmentation.PromptRequest
import io.wsisam.client.segmentation.PromptResult
import io.wsisam.script.AnnotationMetadata
import org.locationtech.jts.geom.Coordinate
import org.locationtech.jts.geom.Geometry
import org.locationtech.jts.geom.LinearRing
import qupath.lib.objects.PathObject
import qupath.lib.objects.PathObjects
import qupath.lib.objects.classes.PathClass
import qupath.lib.regions.ImagePlane
import qupath.lib.roi.GeometryTools
import qupath.lib.roi.interfaces.ROI

import java.awt.Shape
import java.awt.geom.Path2D

/** Outlines as QuPath's objects: all parts and holes kept. */
class Annotations {

    /** An outline's region; empty for an empty outline. */
    static ROI roi(Outline outline, ImagePlane plane) {
        GeometryTools.geometryToROI(geometry(outline), plane)
    }

    /** An outline to draw while it is being refined: no geometry is built or checked. */
    @CompileStatic
    static Shape shape(Outline outline) {
        def path = new Path2D.Double(Path2D.WIND_EVEN_ODD, outline.vertexCount() + outline.parts().size())
        outline.parts().each { part ->
            close(path, part.outer())
            part.holes().each { close(path, it) }
        }
        path
    }

    /** One ring to draw. */
    @CompileStatic
    static Shape drawn(double[] xy) {
        def path = new Path2D.Double()
        close(path, xy)
        path
    }

    @CompileStatic
    private static void close(Path2D path, double[] xy) {
        path.moveTo(xy[0], xy[1])
        for (int i = 2; i < xy.length; i += 2)
            path.lineTo(xy[i], xy[i + 1])
        path.closePath()
    }

    /** A new annotation that says where it comes from. */
    static PathObject create(String id, ROI roi, String className, PromptResult result, List<PromptRequest> requests) {
        def annotation = PathObjects.createAnnotationObject(roi, className ? PathClass.fromString(className) : null)
        annotation.setID(UUID.fromString(id))
        describe(annotation, result, requests)
        annotation
    }

    /** Model, weights, prompts and score, as the annotation's metadata, in place of what it says of an earlier outline. */
    static void describe(PathObject annotation, PromptResult result, List<PromptRequest> requests) {
        def metadata = annotation.getMetadata()
        AnnotationMetadata.OF_AN_OUTLINE.each { metadata.remove(it) }
        metadata.putAll(AnnotationMetadata.of(result, requests, ''))
    }

    /** Whether an image has the object already: a step that is repeated must not add it twice. */
    static boolean contains(hierarchy, String id) {
        def uuid = UUID.fromString(id)
        hierarchy.getAllObjects(false).any { it.getID() == uuid }
    }

    /** An outline as a geometry; empty for an empty one. */
    static Geometry geometry(Outline outline) {
        def factory = GeometryTools.getDefaultFactory()
        def polygons = outline.parts().collect { part ->
            factory.createPolygon(ring(part.outer()), part.holes().collect { ring(it) } as LinearRing[])
        }
        polygons.size() == 1 ? polygons[0] : factory.createMultiPolygon(polygons as org.locationtech.jts.geom.Polygon[])
    }

    private static LinearRing ring(double[] xy) {
        int n = xy.length.intdiv(2)
        def coordinates = new Coordinate[n + 1]
        for (int i = 0; i < n; i++)
            coordinates[i] = new Coordinate(xy[2 * i], xy[2 * i + 1])
        coordinates[n] = coordinates[0].copy()
        GeometryTools.getDefaultFactory().createLinearRing(coordinates)
    }
}
