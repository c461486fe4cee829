package io.wsisam.qupath

import groovy.transform.CompileStatic
import io.wsisam.client.WsiSamClient
import io.wsisam.client.connection.WsiSamException
import io.wsisam.client.segmentation.Failure
import io.wsisam.client.segmentation.PromptResult
import io.wsisam.client.segmentation.SegmentOptions
import io.wsisam.client.segmentation.Session
import io.wsisam.client.segmentation.SessionInfo
import io.wsisam.client.segmentation.SessionListener
import io.wsisam.client.segmentation.SessionState
import io.wsisam.client.segmentation.Stage
import io.wsisam.client.slides.Slide
import io.wsisam.script.Draft
import io.wsisam.script.finishing.Finished
import qupath.lib.images.ImageData
import qupath.lib.regions.ImagePlane
import qupath.lib.roi.GeometryTools

import java.awt.Shape
import java.util.concurrent.CompletableFuture
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.CopyOnWriteArrayList

/**
 * One plane of one image: its session with the server, and the objects that are being drawn on it.
 * What it was opened for stays its own, whatever the viewers show meanwhile.
 */
@CompileStatic
class PlaneSession {
    final ImageData imageData
    final ImagePlane plane

    /** Drafts of this plane that are not done with; the newest may be `current`. */
    final List<Draft> drafts = new CopyOnWriteArrayList<>()
    volatile Draft current
    volatile Slide slide
    /** As it was opened last; it stays when the connection is lost. */
    volatile Slide known
    volatile Session session
    volatile SessionState state = SessionState.CONNECTING
    volatile WsiSamException trouble
    volatile SessionInfo info
    /** What a prompt waits for that takes long; null for nothing. */
    volatile Stage stage
    volatile boolean opening
    /** Finer windows of a border that are answered, and all of them; as last reported for the draft that waits for them. */
    volatile int windowsDone
    volatile int windowsTotal
    volatile SegmentOptions options = SegmentOptions.defaults()

    private final AnnotationController controller
    private WsiSamClient client         // that opened the slide
    private final Map<String, Shape> outlines = new ConcurrentHashMap<>()
    private final Map<String, Finished> finished = new ConcurrentHashMap<>()

    PlaneSession(AnnotationController controller, ImageData imageData, ImagePlane plane) {
        this.controller = controller
        this.imageData = imageData
        this.plane = plane
    }

    boolean isOf(ImageData otherImage, int z, int t) {
        imageData.is(otherImage) && plane.getZ() == z && plane.getT() == t
    }

    boolean isIdle() {
        drafts.isEmpty()
    }

    /** The object that clicks go to; a new one when there is none. */
    Draft draft() {
        if (current == null) {
            current = Draft.start()
            drafts.add(current)
            if (session != null)
                current.sendTo(Draft.PromptSender.of(session))
        }
        current
    }

    /** Clicks go on with this object from now on. */
    void goOn(Draft draft) {
        drafts.add(draft)
        current = draft
        if (session != null)
            draft.sendTo(Draft.PromptSender.of(session))
    }

    /** Whether the user has set another pixel size since the image was opened on the server: lengths are sent with that one. */
    boolean isResized() {
        def now = imageData.getServer().getPixelCalibration().getAveragedPixelSizeMicrons().doubleValue()
        slide != null && Double.compare(slide.reference().mpp().orElse(Double.NaN), now) != 0
    }

    /** The outline to draw for a draft, in level-0 pixels, or null. */
    Shape outline(Draft draft) {
        outlines.get(draft.id())
    }

    /** What is shown of a draft in place of the model's outline, or null. */
    Finished finished(Draft draft) {
        finished.get(draft.id())
    }

    /** Ends the work on a draft. */
    void end(Draft draft) {
        drafts.remove(draft)
        finished.remove(draft.id())
        outlines.remove(draft.id())
        if (draft.is(current))
            current = null
        draft.end()
    }

    /** Works on a slide that the server has opened, with these options; drafts are asked again. */
    void start(WsiSamClient client, Slide opened, SegmentOptions options) {
        session?.close()
        if (!opened.is(slide))
            closeSlide()
        slide = opened
        known = opened
        this.client = client
        this.options = options
        def listener = new PlaneListener()
        listener.mine = client.interact(opened, options, listener)
        session = listener.mine
        drafts.each { it.sendTo(Draft.PromptSender.of(session)) }
    }

    /** The server is being asked to open the image. */
    void opens() {
        opening = true
        state = SessionState.CONNECTING
        trouble = null
    }

    /** The connection is given up; drafts wait for the next. Completed as by `close`. */
    CompletableFuture<Void> disconnected() {
        opening = false
        state = SessionState.CONNECTING
        trouble = null
        close()
    }

    /** Ends the session. Completed when the server has freed what it held of the image, or could not be asked to. */
    CompletableFuture<Void> close() {
        session?.close()
        session = null
        closeSlide()
    }

    private CompletableFuture<Void> closeSlide() {
        def old = slide
        slide = null
        old == null ? CompletableFuture.<Void> completedFuture(null) : client.closeSlide(old).exceptionally { Throwable unreached -> null }
    }

    /** Looks at what a draft shows now. */
    void refresh(Draft draft) {
        def result = draft.shown()
        if (result.isEmpty() || result.get().outline().isEmpty()) {
            outlines.remove(draft.id())
            finished.remove(draft.id())
            return
        }
        def fitted = controller.finisher.finish(this, draft, result.get().outline())
        if (fitted == null)
            finished.remove(draft.id())
        else
            finished.put(draft.id(), fitted)
        outlines.put(draft.id(), fitted?.cut() ? GeometryTools.geometryToShape(fitted.area()) : Annotations.shape(result.get().outline()))
    }

    /** Listens to one session; on the client's callback thread. Results of an earlier session find no draft that waits for them. */
    private class PlaneListener implements SessionListener {
        volatile Session mine

        @Override
        void onOutline(PromptResult result) {
            stage = null
            def draft = drafts.find { it.answered(result) }
            if (draft != null) {
                refresh(draft)
                controller.answered(PlaneSession.this, draft)
            }
        }

        @Override
        void onFailed(Failure failure) {
            stage = null
            def draft = drafts.find { it.failed(failure) }
            if (draft != null) {
                refresh(draft)
                controller.failed(PlaneSession.this, draft, failure)
            }
        }

        @Override
        void onProgress(String objectId, int revision, Stage waitsFor) {
            stage = waitsFor
            controller.changed()
        }

        @Override
        void onRefining(String objectId, int revision, int done, int total) {
            stage = null
            windowsDone = done
            windowsTotal = total
            controller.changed(false)
        }

        @Override
        void onState(SessionState now, WsiSamException cause) {
            if (mine != null && !mine.is(session))
                return
            state = now
            trouble = cause
            stage = null
            controller.stateOf(PlaneSession.this)
        }

        @Override
        void onStarted(SessionInfo started) {
            info = started
            drafts.each { it.resume() }
            controller.started(PlaneSession.this)
        }
    }
}
