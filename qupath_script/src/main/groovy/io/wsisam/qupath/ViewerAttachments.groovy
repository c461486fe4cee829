package io.wsisam.qupath

import javafx.beans.value.ChangeListener
import javafx.collections.ListChangeListener
import javafx.event.EventHandler
import javafx.scene.Cursor
import javafx.scene.input.KeyEvent
import javafx.scene.input.ScrollEvent
import qupath.lib.gui.QuPathGUI
import qupath.lib.gui.viewer.QuPathViewer
import qupath.lib.gui.viewer.QuPathViewerListener

/** What the palette hangs on QuPath's viewers, on those that are opened later too, and takes off again. On the JavaFX thread. */
class ViewerAttachments {
    private final QuPathGUI gui
    private final AnnotationController controller
    private final Map<String, Closure> calls
    private final Map<QuPathViewer, PreviewOverlay> overlays = [:]
    private final Map<QuPathViewer, Closure> detaching = [:]
    private final ListChangeListener listener = { change -> Guard.run { follow() } } as ListChangeListener

    /**
     * @param calls what is done about a key (`key`), another image (`image`, with viewer and the former one), a moved view
     *        (`view`), another plane (`plane`), another selection (`selected`), a closed viewer (`closed`), a new one (`opened`),
     *        and a notch of the wheel (`size`, with viewer and whether it was upwards) where it is one that steps (`steps`)
     */
    ViewerAttachments(QuPathGUI gui, AnnotationController controller, Map<String, Closure> calls) {
        this.gui = gui
        this.controller = controller
        this.calls = calls
    }

    void attachAll() {
        gui.getAllViewers().each { attach(it) }
        gui.getAllViewers().addListener(listener)
    }

    void detachAll() {
        gui.getAllViewers().removeListener(listener)
        overlays.keySet().toList().each { detach(it) }
    }

    /** A viewer's overlay, or null. */
    PreviewOverlay overlay(viewer) {
        overlays.get(viewer)
    }

    void repaint() {
        overlays.keySet().each { it.repaint() }
    }

    /** Viewers were added or closed. */
    private void follow() {
        def all = gui.getAllViewers().toList()
        all.findAll { !overlays.containsKey(it) }.each { attach(it) }
        overlays.keySet().findAll { !all.contains(it) }.each { detach(it) }
    }

    private void attach(viewer) {
        def overlay = new PreviewOverlay(viewer, controller)
        def keys = { KeyEvent e -> Guard.run { calls.key(e) } } as EventHandler<KeyEvent>
        def listener = [
            imageDataChanged     : { v, old, now -> Guard.run { calls.image(v, old) } },
            visibleRegionChanged : { v, shape -> Guard.run { calls.view(v) } },
            selectedObjectChanged: { v, object -> Guard.run { calls.selected() } },
            viewerClosed         : { v -> Guard.run { calls.closed(v) } }
        ] as QuPathViewerListener
        def planeListener = { o, was, is -> Guard.run { calls.plane() } } as ChangeListener
        viewer.getCustomOverlayLayers().add(overlay)
        viewer.getView().addEventFilter(KeyEvent.KEY_PRESSED, keys)
        viewer.addViewerListener(listener)
        [viewer.zPositionProperty(), viewer.tPositionProperty()].each { it.addListener(planeListener) }
        def wheel = new SizeWheel(viewer.getView(), { ScrollEvent e -> calls.steps(viewer, e) }, { boolean up -> Guard.run { calls.size(viewer, up) } })
        controller.viewers.add(viewer)
        overlays.put(viewer, overlay)
        calls.opened(viewer)
        detaching.put(viewer) {
            controller.viewers.remove(viewer)
            viewer.getCustomOverlayLayers().remove(overlay)
            viewer.getView().removeEventFilter(KeyEvent.KEY_PRESSED, keys)
            wheel.remove()
            viewer.removeViewerListener(listener)
            viewer.setCursor(Cursor.DEFAULT)
            [viewer.zPositionProperty(), viewer.tPositionProperty()].each { it.removeListener(planeListener) }
            viewer.repaint()
        }
    }

    private void detach(viewer) {
        overlays.remove(viewer)
        detaching.remove(viewer)?.call()
    }
}
