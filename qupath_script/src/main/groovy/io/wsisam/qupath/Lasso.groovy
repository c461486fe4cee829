package io.wsisam.qupath

import groovy.transform.CompileStatic
import io.wsisam.client.segmentation.PolygonPart
import javafx.scene.input.MouseEvent
import qupath.lib.gui.viewer.QuPathViewer

import java.awt.Shape

/** A rough loop about an object, while it is being drawn. On the JavaFX thread. */
@CompileStatic
class Lasso {
    private static final double STEP = 3        // screen pixels between vertices: finer than a hand draws

    private final QuPathViewer viewer
    private final double slip
    private final double startX, startY
    private double lastX, lastY
    private boolean drawn
    private List<double[]> vertices = []        // level-0 pixels, within the image

    /** @param slip screen pixels that a click may move before it is a loop */
    Lasso(QuPathViewer viewer, MouseEvent pressed, double slip) {
        this.viewer = viewer
        this.slip = slip
        startX = pressed.getX()
        startY = pressed.getY()
        add(pressed)
    }

    /** Goes on to where the mouse is now. */
    void to(MouseEvent e) {
        drawn |= Math.hypot(e.getX() - startX, e.getY() - startY) > slip
        if (Math.hypot(e.getX() - lastX, e.getY() - lastY) < STEP)
            return
        add(e)
        if (vertices.size() > Shapes.MOST_VERTICES)
            vertices = vertices.collate(2).collect { it[0] }
    }

    /** Whether it ever left its first place: it ends there, as a click does. */
    boolean isDrawn() {
        drawn
    }

    /** To draw, closed. */
    Shape shape() {
        Annotations.drawn(xy())
    }

    /** To prompt with; empty where it has no width or no height. */
    List<PolygonPart> parts() {
        def bounds = shape().getBounds2D()
        bounds.isEmpty() ? [] as List<PolygonPart> : [new PolygonPart(xy(), [])]
    }

    private void add(MouseEvent e) {
        lastX = e.getX()
        lastY = e.getY()
        def at = viewer.componentPointToImagePoint(lastX, lastY, null, true)
        vertices << ([at.getX(), at.getY()] as double[])
    }

    private double[] xy() {
        def xy = new double[2 * vertices.size()]
        vertices.eachWithIndex { double[] vertex, int i ->
            xy[2 * i] = vertex[0]
            xy[2 * i + 1] = vertex[1]
        }
        xy
    }
}
