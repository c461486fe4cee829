package io.wsisam.qupath

import groovy.transform.CompileStatic
import io.wsisam.client.segmentation.BoxPrompt
import io.wsisam.client.segmentation.PolygonPart
import javafx.scene.input.MouseButton
import javafx.scene.input.MouseEvent
import qupath.lib.gui.viewer.QuPathViewer

import java.awt.Shape
import java.awt.geom.Rectangle2D

/** What the mouse does while the click tool is on: clicks, boxes, loops, and a double click that takes an annotation up again. */
@CompileStatic
class PromptMouse {
    private static final double SLIP = 4        // screen pixels that a click may move before it is a box

    /** What is done with what was meant. */
    interface Listener {
        void click(QuPathViewer viewer, double x, double y, MouseEvent pressed)
        void box(QuPathViewer viewer, BoxPrompt box)
        /** Empty where the loop holds nothing. */
        void loop(QuPathViewer viewer, List<PolygonPart> loop)
        /** Whether a drag that begins so is a loop, and not a box. */
        boolean isLoop(MouseEvent pressed)
        /** What a release would give, in level-0 pixels; null for nothing. */
        void dragging(QuPathViewer viewer, Shape shapeOrNull)
        void doubleClick(QuPathViewer viewer, double x, double y)
    }

    private final Listener listener
    private MouseEvent pressed
    private Lasso lasso         // null while a drag is a box

    PromptMouse(Listener listener) {
        this.listener = listener
    }

    void event(QuPathViewer viewer, MouseEvent e) {
        if (viewer?.getImageData() == null || e.isConsumed())
            return
        switch (e.getEventType()) {
            case MouseEvent.MOUSE_PRESSED:
                def ours = e.getButton() == MouseButton.PRIMARY && !e.isPopupTrigger()
                pressed = ours && e.getClickCount() == 1 ? e : null
                lasso = pressed != null && listener.isLoop(e) ? new Lasso(viewer, e, SLIP) : null
                if (ours && e.getClickCount() == 2) {
                    def at = viewer.componentPointToImagePoint(e.getX(), e.getY(), null, false)
                    listener.doubleClick(viewer, at.getX(), at.getY())
                }
                break
            case MouseEvent.MOUSE_DRAGGED:
                if (pressed != null) {
                    lasso?.to(e)
                    listener.dragging(viewer, isDrag(e) ? shapeTo(viewer, e) : null)
                }
                break
            case MouseEvent.MOUSE_RELEASED:
                if (pressed != null && e.getButton() == MouseButton.PRIMARY)
                    released(viewer, e)
                break
        }
    }

    private void released(QuPathViewer viewer, MouseEvent e) {
        def from = pressed
        def drag = isDrag(e)
        def loop = lasso
        def area = drag && loop == null ? boxTo(viewer, e) : null
        pressed = null
        lasso = null
        listener.dragging(viewer, null)
        if (drag) {
            if (loop != null)
                listener.loop(viewer, loop.parts())
            else if (area != null)
                listener.box(viewer, area)
        } else {
            def at = viewer.componentPointToImagePoint(from.getX(), from.getY(), null, false)
            def server = viewer.getServer()
            if (at.getX() >= 0 && at.getY() >= 0 && at.getX() < server.getWidth() && at.getY() < server.getHeight())
                listener.click(viewer, at.getX(), at.getY(), from)
        }
        e.consume()
    }

    private boolean isDrag(MouseEvent e) {
        lasso != null ? lasso.isDrawn() : Math.hypot(e.getX() - pressed.getX(), e.getY() - pressed.getY()) > SLIP
    }

    private Shape shapeTo(QuPathViewer viewer, MouseEvent e) {
        if (lasso != null)
            return lasso.shape()
        def box = boxTo(viewer, e)
        box == null ? null : new Rectangle2D.Double(box.x0(), box.y0(), box.x1() - box.x0(), box.y1() - box.y0())
    }

    /** Between the corners, along the image's axes (also in a rotated viewer, as QuPath's own rectangle). */
    private BoxPrompt boxTo(QuPathViewer viewer, MouseEvent e) {
        def a = viewer.componentPointToImagePoint(pressed.getX(), pressed.getY(), null, true)
        def b = viewer.componentPointToImagePoint(e.getX(), e.getY(), null, true)
        a.getX() == b.getX() || a.getY() == b.getY() ? null : BoxPrompt.between(a.getX(), a.getY(), b.getX(), b.getY())
    }
}
