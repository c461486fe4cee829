package io.wsisam.qupath

import io.wsisam.client.connection.WsiSamException
import io.wsisam.client.segmentation.Viewport
import io.wsisam.script.AnnotationMetadata
import io.wsisam.script.Draft
import qupath.lib.objects.PathObject
import qupath.lib.regions.ImagePlane

/** An annotation as a draft: from the prompts that it comes from, else from its shape. */
class TakeUp {
    /** Null where it is refused. */
    final Draft draft
    /** Why it cannot be gone on with; '' where it can. */
    final String refused

    private TakeUp(Draft draft, String refused) {
        this.draft = draft
        this.refused = refused
    }

    static TakeUp of(PathObject annotation, ImagePlane plane, Viewport viewport) {
        if (!annotation.isAnnotation())
            return new TakeUp(null, 'Only annotations can be gone on with.')
        if (annotation.isLocked())
            return new TakeUp(null, 'The annotation is locked: unlock it first.')
        def roi = annotation.getROI()
        if (roi == null || roi.isEmpty() || !roi.isArea())
            return new TakeUp(null, 'Only areas can be gone on with, no lines and no points.')
        if (roi.getImagePlane() != plane)
            return new TakeUp(null, 'The annotation is on another plane of the image.')
        def id = annotation.getID().toString()
        try {
            def requests = AnnotationMetadata.revisions(annotation.getMetadata())
            if (requests.isPresent() && !requests.get().isEmpty())
                return new TakeUp(Draft.goingOn(id, requests.get()), '')
        } catch (WsiSamException changedBySomebody) {
            Notifications.show("Its prompts cannot be read, so its shape is the prompt. ${changedBySomebody.text()}")
        }
        def shape = Shapes.prompt(roi)
        shape.isEmpty() ? new TakeUp(null, 'The annotation has no area.') : new TakeUp(Draft.ofShape(id, shape, viewport), '')
    }
}
