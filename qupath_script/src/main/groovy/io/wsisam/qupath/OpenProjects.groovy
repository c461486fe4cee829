package io.wsisam.qupath

import com.google.gson.JsonObject
import javafx.beans.value.ChangeListener
import qupath.fx.utils.FXUtils
import qupath.lib.projects.Projects

import java.nio.file.Files
import java.nio.file.Path

/**
 * A note in the folder of the open project that this QuPath has it open. `wsisam sync` does not write into such a project: what
 * QuPath holds in memory would overwrite that. QuPath itself leaves no sign there.
 */
class OpenProjects {
    private static final String KEY = 'wsisam.open'

    private Path note

    /** Notes the open project, and from now on each that is opened, until QuPath ends. Once for each window; any thread. */
    static void announce(gui) {
        if (gui == null)
            return
        FXUtils.callOnApplicationThread {
            def properties = gui.getStage().getProperties()
            if (properties.containsKey(KEY))
                return
            def open = new OpenProjects()
            properties.put(KEY, open)
            open.is(gui.getProject())
            gui.projectProperty().addListener({ value, before, now -> open.is(now) } as ChangeListener)
            Runtime.getRuntime().addShutdownHook(new Thread({ open.is(null) } as Runnable))
        }
    }

    private synchronized void is(project) {
        try {
            if (note != null)
                Files.deleteIfExists(note)
            note = null
            if (project == null)
                return
            def me = ProcessHandle.current()
            def said = new JsonObject()
            said.addProperty('host', host())
            said.addProperty('pid', me.pid())
            said.addProperty('started', me.info().startInstant().map { it.toEpochMilli() / 1000d }.orElse(0d))
            said.addProperty('user', System.getProperty('user.name'))
            def folder = Projects.getBaseDirectory(project).toPath().resolve('wsisam-sync').resolve('open')
            Files.createDirectories(folder)
            def file = folder.resolve("${host()}-${me.pid()}.json")
            Files.writeString(file, said.toString())
            note = file
        } catch (IOException | RuntimeException cannot) {
            // A project that cannot be written is not written by a sync either.
            org.slf4j.LoggerFactory.getLogger('WSI-SAM').debug('No note in the project', cannot)
        }
    }

    private static String host() {
        try {
            return ['hostname'].execute().text.trim() ?: 'unknown'
        } catch (IOException none) {
            return System.getenv('COMPUTERNAME') ?: System.getenv('HOSTNAME') ?: 'unknown'
        }
    }
}
