package io.wsisam.qupath

import javafx.application.Platform
import qupath.lib.gui.QuPathGUI
import qupath.lib.images.ImageData
import qupath.lib.objects.PathObject
import qupath.lib.objects.hierarchy.events.PathObjectHierarchyEvent
import qupath.lib.objects.hierarchy.events.PathObjectHierarchyListener

/**
 * Tells QuPath's undo from a deletion. An undone acceptance is deleted in the store at once, and one that is done again is
 * saved again. What colleagues made is no step of the user's: undo leaves it where it is. On the JavaFX thread.
 */
class UndoWatch {
    private final QuPathGUI gui
    private final Keeper keeper
    private final Colleagues colleagues
    private final Map<ImageData, PathObjectHierarchyListener> listening = new IdentityHashMap<>()
    private final Map<ImageData, Set<String>> present = new IdentityHashMap<>()
    private final Set<String> undone = []

    UndoWatch(QuPathGUI gui, Keeper keeper, Colleagues colleagues) {
        this.gui = gui
        this.keeper = keeper
        this.colleagues = colleagues
    }

    /** Listens to the images that are shown now. */
    void refresh() {
        def shown = gui.getAllViewers().collect { it.getImageData() }.findAll { it != null }
        listening.keySet().findAll { one -> !shown.any { it.is(one) } }.toList().each { forget(it) }
        shown.findAll { !listening.containsKey(it) }.each { imageData ->
            def listener = { PathObjectHierarchyEvent event ->
                if (!event.isChanging())
                    Platform.runLater { Guard.run { look(imageData) } }
            } as PathObjectHierarchyListener
            imageData.getHierarchy().addListener(listener)
            listening.put(imageData, listener)
            present.put(imageData, ids(imageData))
        }
    }

    private void look(ImageData imageData) {
        if (!listening.containsKey(imageData))
            return
        def before = present.get(imageData), now = ids(imageData)
        present.put(imageData, now)
        def gone = before - now, come = now - before
        def manager = gui.getUndoRedoManager()
        if (manager.canRedo().get())
            keeper.mark(imageData)
        // A deletion of the user's is a new step, after which there is nothing to do again.
        if (gone && manager.canRedo().get()) {
            def theirs = gone.findAll { colleagues.takenIn.containsKey(it) }
            (gone - theirs).findAll { keeper.hasAccepted(it) }.each {
                undone << it
                keeper.undone(imageData, it)
            }
            if (theirs) {
                if (gone == theirs && !come && manager.canUndo().get()) {
                    manager.undoOnce()          // the step that the user meant is the one before
                    present.put(imageData, before)
                    return
                }
                imageData.getHierarchy().addObjects(theirs.collect { colleagues.takenIn.get(it) })
            }
        }
        come.findAll { it in undone }.each { id ->
            undone.remove(id)
            keeper.redone(imageData, imageData.getHierarchy().getAnnotationObjects().find { it.getID().toString() == id })
        }
    }

    private static Set<String> ids(ImageData imageData) {
        imageData.getHierarchy().getAnnotationObjects().collect { it.getID().toString() }.toSet()
    }

    private void forget(ImageData imageData) {
        imageData.getHierarchy().removeListener(listening.remove(imageData))
        present.remove(imageData)
    }

    void close() {
        listening.keySet().toList().each { forget(it) }
    }
}
