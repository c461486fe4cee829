package io.wsisam.qupath

import org.slf4j.LoggerFactory
import qupath.fx.dialogs.Dialogs
import qupath.lib.gui.QuPathGUI

/** Says something to the user: in the corner of the window, or in the log where there is none. Any thread. */
class Notifications {
    /** QuPath shows a notification on as few lines as it has, and cuts off what the screen has no room for. */
    private static final LINE = /(.{1,70})(?: +|\n|$)/

    private static final LOGGER = LoggerFactory.getLogger('WSI-SAM')

    static void show(CharSequence text) {
        LOGGER.info(text.toString())
        if (QuPathGUI.getInstance() != null)
            Dialogs.showInfoNotification('WSI-SAM', text.toString().replaceAll(LINE, '$1\n').trim())
    }

    /** A mistake in a script: into the log with all that is known. */
    static void logDefect(Throwable problem) {
        LOGGER.error('A mistake in the WSI-SAM script', problem)
    }
}
