package io.wsisam.qupath

import javafx.application.Platform
import org.slf4j.LoggerFactory
import qupath.lib.gui.QuPathGUI
import qupath.lib.scripting.QP

/** What the extension's menu runs, called by name: see the Java classes of io.wsisam.extension. Not on the JavaFX thread. */
class MenuRunner {
    private static final LOGGER = LoggerFactory.getLogger('WSI-SAM')

    /** Runs a compiled script as QuPath runs one of the user's: with the open project and image, its words in the log. */
    static void run(Class script, String[] args) {
        def gui = QuPathGUI.getInstance()
        QP.setBatchProjectAndImage(gui.getProject(), gui.getImageData())
        try {
            def said = new Binding([args: args ?: new String[0]])
            said.setProperty('out', new LogWriter())
            def running = script.getDeclaredConstructor().newInstance() as Script
            running.setBinding(said)
            running.run()
        } finally {
            QP.resetBatchProjectAndImage()
        }
    }

    /** What a script is to be told, where the menu asks; null when the user cancels. */
    static String[] arguments(String script) {
        script == 'WsiSamEverything' ? AskSizes.ask(QuPathGUI.getInstance()) : new String[0]
    }

    /** Opens the window that says which server, and what it wants. */
    static void server() {
        Platform.runLater { ServerWindow.open(QuPathGUI.getInstance()) }
    }

    /** Takes an invitation: keeps its token and certificates, and connects. */
    static void invite(File file) {
        def gui = QuPathGUI.getInstance()
        ServerWindow.take(file)
        Platform.runLater {
            ServerWindow.changed(gui)
            ServerWindow.open(gui)
        }
    }

    /** Opens the page about mouse, keys and what may be wrong. */
    static void help() {
        Platform.runLater { HelpWindow.open(QuPathGUI.getInstance()) }
    }

    /** What a script prints, line by line. */
    private static class LogWriter extends PrintWriter {
        LogWriter() {
            super(new StringWriter(), true)
        }

        @Override
        void println(Object line) {
            LOGGER.info(String.valueOf(line))
        }

        @Override
        void println(String line) {
            LOGGER.info(String.valueOf(line))
        }
    }
}
