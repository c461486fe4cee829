package io.wsisam.qupath

import groovy.transform.CompileStatic
import javafx.event.Event
import javafx.event.EventDispatchChain
import javafx.event.EventDispatcher
import javafx.scene.Node
import javafx.scene.input.ScrollEvent

/**
 * The wheel with a modifier steps through sizes, one for each notch. On the JavaFX thread.
 *
 * It stands before all filters of a viewer, as its dispatcher: QuPath's own filter was there first, and moves the image with
 * any wheel where the user has set that.
 */
@CompileStatic
class SizeWheel implements EventDispatcher {
    private static final double NOTCH = 40          // of a mouse's wheel in JavaFX; a touchpad says less, and more often
    private static final long PAUSE = 120_000_000   // nanoseconds: a wheel that runs on must not ask for field after field

    private final Node view
    private final Closure<Boolean> steps
    private final Closure step
    private final EventDispatcher before
    private boolean removed
    private double turned
    private long last = System.nanoTime() - PAUSE

    /**
     * @param steps whether a turn of the wheel is one that steps
     * @param step gets whether it was turned upwards
     */
    SizeWheel(Node view, Closure<Boolean> steps, Closure step) {
        this.view = view
        this.steps = steps
        this.step = step
        before = view.getEventDispatcher()
        view.setEventDispatcher(this)
    }

    void remove() {
        removed = true
        if (view.getEventDispatcher().is(this))     // else somebody has put another one before it
            view.setEventDispatcher(before)
    }

    @Override
    Event dispatchEvent(Event event, EventDispatchChain tail) {
        if (removed || !isStep(event))
            return before.dispatchEvent(event, tail)
        def scroll = (ScrollEvent) event
        if (scroll.getEventType() == ScrollEvent.SCROLL && !scroll.isInertia())
            turn(scroll)
        null
    }

    /** What a user's script says of it must not take the wheel away from QuPath. */
    private boolean isStep(Event event) {
        try {
            event instanceof ScrollEvent && steps.call(event)
        } catch (Throwable mistake) {
            Notifications.logDefect(mistake)
            false
        }
    }

    private void turn(ScrollEvent e) {
        double by = e.getDeltaY() != 0 ? e.getDeltaY() : e.getDeltaX()      // some systems turn a wheel sidewards for a modifier
        turned = Math.signum(by) == Math.signum(turned) ? turned + by : by
        if (Math.abs(turned) < NOTCH || System.nanoTime() - last < PAUSE)
            return
        boolean up = turned > 0
        turned = 0
        last = System.nanoTime()
        step.call(up)
    }
}
