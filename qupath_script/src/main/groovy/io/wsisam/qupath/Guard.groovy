package io.wsisam.qupath

import groovy.transform.CompileStatic

/** A mistake of ours must not stop QuPath from what it was doing: it goes into the log. */
@CompileStatic
class Guard {
    static void run(Closure work) {
        try {
            work()
        } catch (Throwable mistake) {
            Notifications.logDefect(mistake)
        }
    }
}
