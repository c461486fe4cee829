package io.wsisam.qupath

import io.wsisam.client.WsiSamClient
import io.wsisam.client.connection.ClientOptions
import io.wsisam.client.connection.WsiSamException
import io.wsisam.client.segmentation.PartsPolicy
import io.wsisam.client.segmentation.SegmentOptions
import io.wsisam.client.slides.SlideReference
import io.wsisam.script.PromptText
import io.wsisam.script.Settings
import io.wsisam.script.WorkflowStep
import qupath.lib.images.ImageData
import qupath.lib.objects.PathObject
import qupath.lib.plugins.workflow.DefaultScriptableWorkflowStep
import qupath.lib.regions.ImagePlane

import java.util.concurrent.CompletableFuture
import java.util.concurrent.ExecutionException
import java.util.concurrent.TimeUnit
import java.util.concurrent.TimeoutException

/** What is done in the window, as a script that does it again without one. */
class Steps {

    private static final REPEAT =
            '// The same prompts again; the server is the one of this computer\'s settings. What the image has already is left alone.\n' +
            'io.wsisam.qupath.Steps.outline(getCurrentImageData(), '

    /** Writes an accepted object into the image's workflow. WorkflowStep makes everything a plain String (a GString there would lose the project). */
    static void record(ImageData imageData, PathObject annotation, List requests, SegmentOptions options, String model) {
        def plane = annotation.getROI().getImagePlane()
        def values = [id: annotation.getID().toString(), className: annotation.getPathClass()?.toString() ?: '', name: annotation.getName() ?: '',
                      model: model, tolerance: options.tolerance(), fillHolesBelow: options.fillHolesBelow(), smoothing: options.smoothing(),
                      parts: options.parts()?.name() ?: '', z: plane.getZ(), t: plane.getT(), asks: PromptText.writeRequests(requests)]
        add(imageData, WorkflowStep.of('WSI-SAM outline', values, REPEAT, ')\n'))
    }

    /** Adds a step to the image's workflow. */
    static void add(ImageData imageData, WorkflowStep step) {
        imageData.getHistoryWorkflow().addStep(new DefaultScriptableWorkflowStep(step.name(), step.parameters(), step.script()))
    }

    /** Outlines a recorded object again and adds it; for scripts, not for the JavaFX thread. */
    static void outline(ImageData imageData, Map object) {
        if (Annotations.contains(imageData.getHierarchy(), object.id)) {
            println "WSI-SAM: ${object.id} is there already; nothing was changed."
            return
        }
        def plane = ImagePlane.getPlane(object.z as int, object.t as int)
        // Steps of earlier versions say nothing of finishing.
        def options = new SegmentOptions(object.model, object.tolerance as Double, null).withHolesFilledBelow(object.fillHolesBelow as Double)
                .withSmoothing(object.smoothing as Double).withParts(object.parts ? PartsPolicy.valueOf(object.parts) : null)
        def requests = PromptText.readRequests(object.asks)
        withClient { client ->
            withSlide(client, Images.reference(imageData, plane, Settings.user().sendPixels())) { slide ->
                def result = WsiSamClient.await(client.replay(slide, requests, options))
                def annotation = Annotations.create(object.id, Annotations.roi(result.outline(), plane), object.className, result, requests)
                if (object.name)
                    annotation.setName(object.name)
                imageData.getHierarchy().addObject(annotation)
                if (slide.pixelSize().warning())
                    println "WSI-SAM: ${slide.pixelSize().warning()}"
            }
        }
    }

    /**
     * Waits for a result, which the user's Cancel brings about sooner.
     *
     * @param monitor the progress window, or null
     * @param cancel what to do about the work when the user wants no more of it; may be called again
     * @throws WsiSamException what the result failed with
     */
    static <T> T waitFor(CompletableFuture<T> result, monitor, Closure cancel) {
        try {
            while (true) {
                try {
                    return result.get(100, TimeUnit.MILLISECONDS)
                } catch (TimeoutException notYet) {
                    if (monitor?.cancelled())
                        cancel()
                }
            }
        } catch (ExecutionException failed) {
            throw WsiSamException.of(failed)
        } catch (InterruptedException stopped) {
            cancel()
            throw stopped
        }
    }

    /** Runs with an image open on the server, and has it freed there. */
    static <T> T withSlide(WsiSamClient client, SlideReference reference, Closure<T> work) {
        def slide = WsiSamClient.await(client.openSlide(reference))
        try {
            return work(slide)
        } finally {
            // A server that is gone has freed it already.
            WsiSamClient.await(client.closeSlide(slide).exceptionally { unreached -> null })
        }
    }

    /** Runs with a connection to the server of the user's settings, and closes it. */
    static <T> T withClient(ClientOptions options = Settings.user().clientOptions(), Closure<T> work) {
        def client = WsiSamClient.connect(options)
        try {
            return work(client)
        } finally {
            client.close()
        }
    }
}
