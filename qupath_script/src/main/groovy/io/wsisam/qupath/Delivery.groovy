package io.wsisam.qupath

import io.wsisam.client.segmentation.Failure
import io.wsisam.script.Draft
import qupath.lib.images.ImageData

import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.ExecutorService

/** Accepted objects on their way into their images: each once, now, or as soon as its outline is there. Any thread. */
class Delivery {
    private final AnnotationWriter writer
    private final ExecutorService worker
    private final Closure done
    private final Keeper keeper
    private final Map<String, Map> accepted = new ConcurrentHashMap<>()

    /** @param done called with plane and draft when the work on it is over; on the worker's thread */
    Delivery(AnnotationWriter writer, Keeper keeper, ExecutorService worker, Closure done) {
        this.writer = writer
        this.keeper = keeper
        this.worker = worker
        this.done = done
    }

    /** @param how className, and naming (class name and number to a name) */
    void accept(PlaneSession plane, Draft draft, Map how) {
        accepted.put(draft.id(), how)
        if (draft.isSettled())
            deliver(plane, draft)
    }

    /** A draft has got an outline. */
    void answered(PlaneSession plane, Draft draft) {
        if (accepted.containsKey(draft.id()) && draft.isSettled())
            deliver(plane, draft)
    }

    /** A border could not be refined: an accepted object is added as it is. */
    void unrefined(PlaneSession plane, Draft draft) {
        deliver(plane, draft)
    }

    /** Whether the draft was accepted: nothing comes of it then. */
    boolean failed(PlaneSession plane, Draft draft, Failure failure) {
        if (accepted.remove(draft.id()) == null)
            return false
        Notifications.show("An accepted object was not added to ${nameOf(plane.imageData)}: ${failure.error().text()}")
        done(plane, draft)
        true
    }

    /** How many wait for their outlines. */
    int waiting() {
        accepted.size()
    }

    private void deliver(PlaneSession plane, Draft draft) {
        def how = accepted.remove(draft.id())
        if (how == null)
            return
        worker.submit {
            try {
                def finished = plane.finished(draft)
                def note = writer.add(plane.imageData, plane.plane, draft, how + [options: plane.options, finished: finished, keep: { ImageData image, one -> keeper.accepted(image, one, draft.shown().get(), plane) }])
                if (note)
                    Notifications.show(note)
            } catch (Throwable problem) {
                Notifications.show("The object was not added to ${nameOf(plane.imageData)}: ${problem.getMessage() ?: problem}")
            } finally {
                done(plane, draft)
            }
        }
    }

    private static String nameOf(ImageData imageData) {
        imageData.getServer().getMetadata().getName()
    }
}
