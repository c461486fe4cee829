package io.wsisam.qupath

import groovy.transform.CompileStatic
import io.wsisam.client.segmentation.BoxPrompt
import javafx.scene.input.MouseButton
import javafx.scene.input.MouseEvent
import qupath.lib.gui.viewer.QuPathViewer

/** What the mouse does while the click tool is on: clicks, boxes, and a double click that takes an annotation up again. */
@CompileStatic
class PromptMouse {
    private static final double SLIP = 4        // screen pixels that a click may move before it is a box

    /** What is done with what was meant. */
    interface Listener {
        void click(QuPathViewer viewer, double x, double y, MouseEvent pressed)
        void box(QuPathViewer viewer, BoxPrompt box)
        void dragging(QuPathViewer viewer, BoxPrompt boxOrNull)
        void doubleClick(QuPathViewer viewer, double x, double y)
    }

    private final Listener listener
    private MouseEvent pressed

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
                if (ours && e.getClickCount() == 2) {
                    def at = viewer.componentPointToImagePoint(e.getX(), e.getY(), null, false)
                    listener.doubleClick(viewer, at.getX(), at.getY())
                }
                break
            case MouseEvent.MOUSE_DRAGGED:
                if (pressed != null)
                    listener.dragging(viewer, isDrag(e) ? boxTo(viewer, e) : null)
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
        def area = drag ? boxTo(viewer, e) : null
        pressed = null
        listener.dragging(viewer, null)
        if (drag) {
            if (area != null)
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
        Math.hypot(e.getX() - pressed.getX(), e.getY() - pressed.getY()) > SLIP
    }

    /** Between the corners, along the image's axes (also in a rotated viewer, as QuPath's own rectangle). */
    private BoxPrompt boxTo(QuPathViewer viewer, MouseEvent e) {
        def a = viewer.componentPointToImagePoint(pressed.getX(), pressed.getY(), null, true)
        def b = viewer.componentPointToImagePoint(e.getX(), e.getY(), null, true)
        a.getX() == b.getX() || a.getY() == b.getY() ? null : BoxPrompt.between(a.getX(), a.getY(), b.getX(), b.getY())
    }
}
