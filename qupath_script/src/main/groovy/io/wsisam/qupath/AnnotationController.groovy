package io.wsisam.qupath

import groovy.transform.CompileStatic
import io.wsisam.client.WsiSamClient
import io.wsisam.client.connection.WsiSamException
import io.wsisam.client.segmentation.BoxPrompt
import io.wsisam.client.segmentation.Failure
import io.wsisam.client.segmentation.PolygonPart
import io.wsisam.client.segmentation.SessionState
import io.wsisam.script.Draft
import io.wsisam.script.Settings
import javafx.application.Platform
import qupath.lib.gui.QuPathGUI
import qupath.lib.gui.viewer.QuPathViewer
import qupath.lib.images.ImageData
import qupath.lib.objects.PathObject
import qupath.lib.regions.ImagePlane

import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.ExecutorService
import java.util.concurrent.Executors

/**
 * All that is being drawn, in all viewers, and the connection to the server.
 *
 * Its methods are called on the JavaFX thread unless they say otherwise, and none of them blocks: images are opened and
 * annotations added on the controller's own thread, answers arrive on the client's. `onChange` runs on the JavaFX thread;
 * it is given whether the viewers are to be repainted.
 */
class AnnotationController {
    private final QuPathGUI gui
    private final Settings settings
    private final Closure onChange
    final ServerLink link
    final Keeper keeper
    final Colleagues colleagues
    final Finisher finisher
    private final UndoWatch undoWatch
    private final List<PlaneSession> planes = new CopyOnWriteArrayList<>()
    /** The viewers with our overlay. */
    final List<QuPathViewer> viewers = new CopyOnWriteArrayList<>()
    private final Set<ImageData> warned = Collections.synchronizedSet(Collections.newSetFromMap(new WeakHashMap<>()))
    private final ExecutorService worker = Executors.newSingleThreadExecutor { task ->
        def thread = new Thread(task, 'wsisam-controller')
        thread.setDaemon(true)
        thread
    }
    private final Delivery delivery
    private volatile boolean closed

    AnnotationController(QuPathGUI gui, Settings settings, Closure onChange) {
        this.gui = gui
        this.settings = settings
        this.onChange = onChange
        link = new ServerLink(settings, [leave: { planes.collect { closed ? it.close() : it.disconnected() } }, reached: { openAll() }, changed: { changed() }])
        def images = new OpenImages(gui)
        finisher = new Finisher(settings)
        keeper = new Keeper(settings, link, images, { changed(false) })
        colleagues = new Colleagues(settings, link, keeper, images)
        undoWatch = new UndoWatch(gui, keeper, colleagues)
        delivery = new Delivery(new AnnotationWriter(gui), keeper, worker, { PlaneSession plane, Draft draft ->
            Platform.runLater {
                plane.end(draft)
                tidy(plane)
                changed()
            }
        })
    }

    // -- Images ----------------------------------------------------------------------------------------------------

    private void openAll() {
        planes.findAll { !it.opening && (it.session == null || it.state == SessionState.FAILED) }.each { open(it) }
    }

    /** Another model or detail: every plane goes on with it. */
    void useNewOptions() {
        planes.findAll { it.slide != null }.each { it.start(link.client, it.slide, settings.segmentOptions()) }
    }

    /** Another finishing, or class: what is shown is finished anew, and nothing is asked. */
    void finishAnew() {
        planes.each { plane -> plane.drafts.each { plane.refresh(it) } }
        changed()
    }

    /** What a viewer shows, opened on the server when it is not yet. */
    @CompileStatic
    PlaneSession planeOf(QuPathViewer viewer) {
        def imageData = viewer?.getImageData()
        if (imageData == null)
            return null
        def plane = planes.find { it.isOf(imageData, viewer.getZPosition(), viewer.getTPosition()) }
        if (plane == null) {
            plane = new PlaneSession(this, imageData, ImagePlane.getPlane(viewer.getZPosition(), viewer.getTPosition()))
            planes.add(plane)
            if (link.reached)
                open(plane)
            def why = Images.whyPixels(imageData.getServer(), plane.plane)
            if (why)
                tell(why)
        }
        plane
    }

    /** Planes to draw in a viewer; any thread. */
    @CompileStatic
    List<PlaneSession> shownIn(ImageData imageData, int z, int t) {
        planes.findAll { it.isOf(imageData, z, t) }
    }

    /** The user sees something else: the server may prepare it. */
    @CompileStatic
    void moved(QuPathViewer viewer) {
        def plane = planes.find { it.isOf(viewer.getImageData(), viewer.getZPosition(), viewer.getTPosition()) }
        if (plane?.session != null && plane.state != SessionState.FAILED && plane.state != SessionState.CLOSED)
            plane.session.viewport(Images.viewport(viewer))
    }

    /** An image has left a viewer: what was drawn and not accepted is dropped, what was accepted is still delivered. */
    void left(ImageData imageData) {
        if (imageData == null || gui.getAllViewers().any { it.getImageData().is(imageData) })
            return
        planes.findAll { it.imageData.is(imageData) }.each { plane ->
            def draft = plane.current
            if (draft != null) {
                if (!draft.isEmpty())
                    tell("The object that you were drawing on ${nameOf(imageData)} was not accepted, so it was dropped.")
                plane.end(draft)
            }
            tidy(plane)
        }
    }

    /** Closes what is not needed any more. */
    private void tidy(PlaneSession plane) {
        if (plane.isIdle() && !gui.getAllViewers().any { it.getImageData().is(plane.imageData) }) {
            plane.close()
            planes.remove(plane)
        }
    }

    private void open(PlaneSession plane) {
        def asked = link.client
        plane.opens()
        def viewer = gui.getAllViewers().find { it.getImageData().is(plane.imageData) }
        def display = viewer?.getImageDisplay()
        worker.submit {
            try {
                def reference = Images.reference(plane.imageData, plane.plane, settings.sendPixels(), display)
                asked.openSlide(reference).whenComplete { slide, failure ->
                    Platform.runLater { opened(asked, plane, slide, failure == null ? null : WsiSamException.of(failure)) }
                }
            } catch (Exception unreadable) {
                Platform.runLater { opened(asked, plane, null, WsiSamException.of(unreadable)) }
            }
        }
    }

    private void opened(WsiSamClient asked, PlaneSession plane, slide, WsiSamException failure) {
        if (closed || !asked.is(link.client) || !planes.contains(plane)) {
            if (slide != null)
                asked.closeSlide(slide)
            return
        }
        plane.opening = false
        if (failure == null) {
            plane.start(link.client, slide, settings.segmentOptions())
            gui.getAllViewers().each { moved(it) }
            if (slide.byPixels() && !Images.whyPixels(plane.imageData.getServer(), plane.plane))
                tell("The server cannot open ${nameOf(plane.imageData)}, so its pixels are sent where they are needed: slower, else the same.")
        } else {
            plane.state = failure.isConnection() ? SessionState.WAITING : SessionState.FAILED
            plane.trouble = failure
            if (failure.isConnection())
                link.retrySoon()
            else
                refused(plane, failure)
        }
        changed()
    }

    // -- Drawing ---------------------------------------------------------------------------------------------------

    @CompileStatic
    void click(QuPathViewer viewer, double x, double y, boolean positive) {
        draw(viewer) { Draft draft -> draft.click(x, y, positive, Images.viewport(viewer)) }
    }

    @CompileStatic
    void box(QuPathViewer viewer, BoxPrompt box) {
        draw(viewer) { Draft draft -> draft.box(box, Images.viewport(viewer)) }
    }

    /** A rough loop about the object; empty where it holds nothing. */
    @CompileStatic
    void loop(QuPathViewer viewer, List<PolygonPart> loop) {
        if (loop.isEmpty())
            tell(PaletteTexts.of('lasso.nothing'))
        else
            draw(viewer) { Draft draft -> draft.shape(loop, Images.viewport(viewer)) }
    }

    /** Whether an object is being drawn on what a viewer shows. */
    @CompileStatic
    boolean isDrawing(QuPathViewer viewer) {
        def imageData = viewer.getImageData()
        imageData != null && shownIn(imageData, viewer.getZPosition(), viewer.getTPosition()).any { it.current != null }
    }

    @CompileStatic
    private void draw(QuPathViewer viewer, Closure step) {
        def plane = planeOf(viewer)
        if (plane == null)
            return
        step(plane.draft())
        if (plane.isResized() && !plane.opening && link.reached)
            open(plane)         // the draft is asked again there
        if (plane.state == SessionState.FAILED || plane.state == SessionState.CLOSED)
            link.retryNow()
        changed()
    }

    void undo(viewer) {
        withDraft(viewer) { plane, draft ->
            draft.undo()
            draft.isEmpty() ? plane.end(draft) : plane.refresh(draft)
        }
    }

    void redo(viewer) {
        withDraft(viewer) { plane, draft ->
            draft.redo()
            plane.refresh(draft)
        }
    }

    /** Shows a larger or a smaller object than the draft's: another that the click may mean, then what is seen in another field. */
    void resize(viewer, boolean larger) {
        withDraft(viewer) { plane, draft ->
            if (draft.resize(larger))
                plane.refresh(draft)
        }
    }

    /** The smallest annotation at a place of the image; null for none. */
    PathObject annotationAt(viewer, double x, double y) {
        def here = viewer.getImagePlane()
        viewer.getHierarchy()?.getAnnotationObjects()?.findAll { it.getROI()?.isArea() && it.getROI().getImagePlane() == here && it.getROI().contains(x, y) }
                ?.min { it.getROI().getArea() }
    }

    /**
     * Goes on with an annotation: with the prompts that it says it comes from; of another one its shape is the prompt.
     *
     * @param afterClick whether the first click of a double click has just begun an object of its own, which is dropped
     * @return whether it does
     */
    boolean takeUp(viewer, PathObject annotation, boolean afterClick) {
        def plane = planeOf(viewer)
        if (plane == null)
            return false
        // QuPath keeps a removed object selected where all were removed at once.
        if (annotation == null || annotation.isAnnotation() && !Annotations.contains(plane.imageData.getHierarchy(), annotation.getID().toString())) {
            if (!afterClick)
                tell('Select an annotation to go on with, or double-click on it.')
            return false
        }
        def drawing = plane.current
        if (drawing != null && !(afterClick && drawing.prompt().isSingleClick())) {
            tell('Accept or reject what you are drawing first.')
            return false
        }
        def again = TakeUp.of(annotation, plane.plane, Images.viewport(viewer))
        if (again.refused) {
            tell(again.refused)
            return false
        }
        if (drawing != null)
            plane.end(drawing)
        plane.goOn(again.draft)
        viewer.setSelectedObject(null)      // its yellow would lie over what is being drawn
        changed()
        true
    }

    /** Refines the border of the draft's outline, as finely as the viewer shows it. */
    void refine(viewer) {
        withDraft(viewer) { plane, draft ->
            plane.windowsDone = plane.windowsTotal = 0
            draft.refine(finest(viewer))
            plane.refresh(draft)
        }
    }

    /** Whether that can show more than is known: the object is larger than a window at the viewer's scale, and the server does it. */
    boolean isRefinable(viewer, Draft draft) {
        draft != null && draft.isRefinable(finest(viewer))
    }

    /** Level-0 pixels for each on the screen; there is nothing finer in the slide than its own. */
    private static double finest(viewer) {
        Math.max(1d, viewer.getDownsampleFactor() as double)
    }

    /** Calls a finer border off where one is being waited for; else drops the draft. */
    void reject(viewer) {
        withDraft(viewer) { plane, draft -> if (!draft.stopRefining()) plane.end(draft) }
    }

    /** Makes an annotation of the draft: now, or as soon as its outline is there. */
    void accept(viewer, String className, Closure<String> naming) {
        withDraft(viewer) { plane, draft ->
            if (draft.isSendable()) {
                plane.current = null
                delivery.accept(plane, draft, [className: className, naming: naming])
            } else {
                tell('There is nothing to accept yet: click on the object, or drag a box about it.')
            }
        }
    }

    private void withDraft(viewer, Closure work) {
        def plane = planeOf(viewer)
        if (plane?.current != null) {
            work(plane, plane.current)
            changed()
        }
    }

    // -- News from sessions, on the client's thread ------------------------------------------------------------------

    @CompileStatic
    void answered(PlaneSession plane, Draft draft) {
        delivery.answered(plane, draft)
        // The outline does not wait for the palette, nor a sixtieth of a second more for a frame that begins while it is painted.
        Platform.requestNextPulse()
        viewers.each { if (plane.imageData.is(it.getImageData())) it.repaint() }
        changed(false)
    }

    void failed(PlaneSession plane, Draft draft, Failure failure) {
        def error = failure.error()
        if (failure.request().refinement() != null) {
            tell("${error.text()} (The border stays as it was.)")
            delivery.unrefined(plane, draft)
        } else if (!delivery.failed(plane, draft, failure)) {
            tell("${error.text()} (The last click, box or loop was taken back.)")
            Platform.runLater {
                if (draft.isEmpty())
                    plane.end(draft)
            }
        }
        changed()
    }

    /** A session has begun. Of an image whose file says another pixel size, the user is notified once. */
    void started(PlaneSession plane) {
        keeper.shows(plane.imageData, plane.slide.annotationKey())
        def said = plane.slide.pixelSize().warning()
        if (said && warned.add(plane.imageData))
            tell("${nameOf(plane.imageData)}: ${said}")
        changed()
    }

    void stateOf(PlaneSession plane) {
        if (plane.state == SessionState.FAILED)
            refused(plane, plane.trouble)
        changed()
    }

    private void refused(PlaneSession plane, WsiSamException why) {
        tell("${nameOf(plane.imageData)}: ${why.text()}")
    }

    /** Something to show has changed, in the viewers too unless they were repainted already; any thread. */
    void changed(boolean repaint = true) {
        if (!closed)
            Platform.isFxApplicationThread() ? show(repaint) : Platform.runLater { if (!closed) show(repaint) }
    }

    private void show(boolean repaint) {
        undoWatch.refresh()
        colleagues.refresh()
        onChange(repaint)
    }

    private static void tell(CharSequence text) {
        Notifications.show(text)
    }

    private static String nameOf(ImageData imageData) {
        imageData.getServer().getMetadata().getName()
    }

    /** Ends all connections and threads. Accepted objects that the server has not outlined yet are lost, and named. */
    void close() {
        closed = true
        if (delivery.waiting() > 0)
            tell("The palette was closed before the server had outlined ${delivery.waiting()} accepted object(s): not added.")
        undoWatch.close()
        colleagues.close()
        keeper.close()
        link.close()
        planes.clear()
        worker.shutdown()
    }
}
