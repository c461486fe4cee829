package io.wsisam.qupath

import io.wsisam.script.AnnotationMetadata
import io.wsisam.script.Draft
import io.wsisam.script.finishing.Finished
import qupath.fx.utils.FXUtils
import qupath.lib.images.ImageData
import qupath.lib.objects.PathObject
import qupath.lib.regions.ImagePlane
import qupath.lib.roi.GeometryTools
import qupath.lib.roi.interfaces.ROI

/** Brings an accepted object to the image that it was drawn on, wherever that image is by now. Not on the JavaFX thread. */
class AnnotationWriter {
    private final gui

    AnnotationWriter(gui) {
        this.gui = gui
    }

    /**
     * @param how className, naming (class name and number to a name), options, finished (what was shown in
     *        place of the model's outline, or null), keep (called with the image and the annotation as
     *        it is to be, before a new one is added)
     * @return what to tell the user; null when the object is on the screen and says it all
     */
    String add(ImageData imageData, ImagePlane plane, Draft draft, Map how) {
        def result = draft.shown().get()
        def name = imageData.getServer().getMetadata().getName()
        if (result.outline().isEmpty())
            return "The model found nothing at this prompt on ${name}: no object was added."
        def annotation = Annotations.create(draft.id(), roi(result, plane, how.finished), how.className, result, draft.requests())
        def put = { ImageData target ->
            def there = target.getHierarchy().getAnnotationObjects().find { it.getID() == annotation.getID() }
            if (there != null) {
                replace(target, there, annotation, draft, how, result)
                return
            }
            annotation.setName(how.naming(how.className, number(target)).toString())
            insert(target, annotation, draft, how, result)
        }

        def open = whereOpen(imageData)
        if (open != null) {
            put(open)
            return null
        }
        def entry = gui.getProject()?.getEntry(imageData)
        if (entry == null)
            return "${name} was closed before its outline arrived, and is in no open project: the object was not added."
        def stored = read(entry)
        open = whereOpen(imageData)         // opened again meanwhile
        if (open != null) {
            put(open)
            return null
        }
        put(stored)
        entry.saveImageData(stored)
        "${name} is not open any more: the object was added to it in the project."
    }

    /** What was shown. */
    private static ROI roi(result, ImagePlane plane, Finished finished) {
        finished?.cut() ? GeometryTools.geometryToROI(finished.area(), plane) : Annotations.roi(result.outline(), plane)
    }

    private void insert(ImageData target, PathObject annotation, Draft draft, Map how, result) {
        Finished finished = how.finished
        if (finished?.cut())
            annotation.getMetadata().put(AnnotationMetadata.FINISHED, 'cut')
        how.keep(target, annotation)
        def parent = finished?.parent() ? target.getHierarchy().getAnnotationObjects().find { it.getID().toString() == finished.parent() } : null
        if (parent == null)
            target.getHierarchy().addObject(annotation)
        else
            target.getHierarchy().addObjectBelowParent(parent, annotation, true)
        Steps.record(target, annotation, draft.requests(), how.options, result.outline().model())
        FXUtils.runOnApplicationThread {
            gui.getAllViewers().find { it.getImageData().is(target) }?.setSelectedObject(annotation)
        }
    }

    /** An annotation that was gone on with: its id, name, children and other metadata stay. */
    private void replace(ImageData target, PathObject there, PathObject fresh, Draft draft, Map how, result) {
        if (there.isLocked())
            throw new IllegalStateException('the annotation was locked meanwhile')
        Reshaping.reshape(there, fresh.getROI())
        there.setPathClass(fresh.getPathClass())
        Annotations.describe(there, result, draft.requests())
        if (how.finished?.cut())
            there.getMetadata().put(AnnotationMetadata.FINISHED, 'cut')
        Reshaping.letOut(there)
        how.keep(target, there)
        target.getHierarchy().fireHierarchyChangedEvent(this)      // once: one step to undo
        Steps.record(target, there, draft.requests(), how.options, result.outline().model())
    }

    private static int number(ImageData target) {
        1 + target.getHierarchy().getAnnotationObjects().count { it.getMetadata().containsKey(AnnotationMetadata.MODEL) }
    }

    /** The image as a viewer has it: itself, or opened again. */
    private ImageData whereOpen(ImageData imageData) {
        FXUtils.callOnApplicationThread {
            def open = gui.getAllViewers().collect { it.getImageData() }.findAll { it != null }
            def project = gui.getProject()
            def entry = project?.getEntry(imageData)
            open.find { it.is(imageData) } ?: open.find {
                entry != null ? project.getEntry(it) == entry : it.getServerPath() == imageData.getServerPath()
            }
        }
    }

    /**
     * Reads an image of the project.
     *
     * @throws IOException its saved data cannot be read: QuPath then gives an empty image, which must never be saved over them
     */
    static ImageData read(entry, boolean hadData = false) {
        def data = entry.readImageData()
        def problem = SavedData.problem(entry, data, hadData)
        if (problem)
            throw new IOException(problem)
        data
    }
}
