package io.wsisam.qupath

import io.wsisam.client.annotations.AnnotationShape
import io.wsisam.client.segmentation.PolygonPart
import org.locationtech.jts.geom.Coordinate
import org.locationtech.jts.geom.Geometry
import org.locationtech.jts.geom.LineString
import org.locationtech.jts.geom.LinearRing
import org.locationtech.jts.geom.Polygon
import org.locationtech.jts.simplify.DouglasPeuckerSimplifier
import qupath.lib.regions.ImagePlane
import qupath.lib.roi.GeometryTools
import qupath.lib.roi.PolygonROI
import qupath.lib.roi.ROIs
import qupath.lib.roi.interfaces.ROI

/** Regions as the store has them, and back. */
class Shapes {
    /** QuPath rounds polygons to a hundredth of a pixel. */
    private static final double ROUNDING = 0.02

    /** Of a prompt's shape: the server takes 10,000. */
    static final int MOST_VERTICES = 9_000

    /** A region's shape; null for one that has none. */
    static AnnotationShape of(ROI roi) {
        if (roi == null || roi.isEmpty())
            return null
        if (roi.isPoint())
            return AnnotationShape.points(roi.getAllPoints().collectMany { [it.getX(), it.getY()] } as double[])
        def geometry = roi.getGeometry()
        def members = (0..<geometry.getNumGeometries()).collect { geometry.getGeometryN(it) }
        if (roi.isLine())
            return AnnotationShape.lines(members.findAll { it instanceof LineString }.collect { path(it.getCoordinates(), 0) })
        def parts = members.findAll { it instanceof Polygon && !it.isEmpty() }.collect { Polygon polygon ->
            def holes = (0..<polygon.getNumInteriorRing()).collect { path(polygon.getInteriorRingN(it).getCoordinates(), 1) }
            new PolygonPart(path(polygon.getExteriorRing().getCoordinates(), 1), holes)
        }
        parts.isEmpty() ? null : AnnotationShape.areas(parts)
    }

    /** A region as a rough outline to prompt with: its parts, coarser where it has more vertices than a server takes; empty for none. */
    static List<PolygonPart> prompt(ROI roi) {
        def geometry = roi.getGeometry()
        double tolerance = 0.25
        while (geometry.getNumPoints() > MOST_VERTICES) {
            geometry = DouglasPeuckerSimplifier.simplify(roi.getGeometry(), tolerance)
            tolerance *= 2
        }
        def members = (0..<geometry.getNumGeometries()).collect { geometry.getGeometryN(it) }
        members.findAll { it instanceof Polygon && !it.isEmpty() }.collect { Polygon polygon ->
            new PolygonPart(path(polygon.getExteriorRing().getCoordinates(), 1), (0..<polygon.getNumInteriorRing()).collect { path(polygon.getInteriorRingN(it).getCoordinates(), 1) })
        }
    }

    /**
     * A region's shape as QuPath keeps it, vertex by vertex: what a sync's record tells it by. {@link #of} rounds polygons, and
     * makes valid areas of those that cross themselves.
     */
    static AnnotationShape kept(ROI roi, AnnotationShape shape) {
        if (!(roi instanceof PolygonROI))
            return shape
        AnnotationShape.areas([new PolygonPart(roi.getAllPoints().collectMany { [it.getX(), it.getY()] } as double[], [])])
    }

    /** A shape's region. */
    static ROI roi(AnnotationShape shape, ImagePlane plane) {
        def factory = GeometryTools.getDefaultFactory()
        switch (shape.kind()) {
            case AnnotationShape.Kind.POINTS:
                def xy = shape.parts()[0].outer()
                def at = { int start -> (0..<xy.length.intdiv(2)).collect { xy[2 * it + start] } as double[] }
                return ROIs.createPointsROI(at(0), at(1), plane)
            case AnnotationShape.Kind.LINES:
                def lines = shape.parts().collect { factory.createLineString(coordinates(it.outer(), false)) }
                return GeometryTools.geometryToROI(lines.size() == 1 ? lines[0] : factory.createMultiLineString(lines as LineString[]), plane)
            default:
                def polygons = shape.parts().collect { part ->
                    factory.createPolygon(ring(part.outer()), part.holes().collect { ring(it) } as LinearRing[])
                }
                return GeometryTools.geometryToROI(polygons.size() == 1 ? polygons[0] : factory.createMultiPolygon(polygons as Polygon[]), plane)
        }
    }

    /** Whether two regions are the same but for rounding. */
    static boolean same(ROI first, ROI second) {
        if (first.isPoint() || second.isPoint())
            return first.isPoint() && second.isPoint() && first.getAllPoints() == second.getAllPoints()
        Geometry one = first.getGeometry().norm(), other = second.getGeometry().norm()
        one.equalsExact(other, ROUNDING)
    }

    private static double[] path(Coordinate[] vertices, int leaveOut) {
        vertices.toList().dropRight(leaveOut).collectMany { [it.x, it.y] } as double[]
    }

    private static LinearRing ring(double[] xy) {
        GeometryTools.getDefaultFactory().createLinearRing(coordinates(xy, true))
    }

    private static Coordinate[] coordinates(double[] xy, boolean closed) {
        def vertices = (0..<xy.length.intdiv(2)).collect { new Coordinate(xy[2 * it], xy[2 * it + 1]) }
        if (closed)
            vertices << vertices[0].copy()
        vertices as Coordinate[]
    }
}
