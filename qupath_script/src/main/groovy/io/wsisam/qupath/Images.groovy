package io.wsisam.qupath

import groovy.transform.CompileStatic
import io.wsisam.client.segmentation.Viewport
import io.wsisam.client.slides.PixelProvider
import io.wsisam.client.slides.PixelWindow
import io.wsisam.client.slides.SlideReference
import qupath.lib.display.ImageDisplay
import qupath.lib.gui.viewer.QuPathViewer
import qupath.lib.images.ImageData
import qupath.lib.images.servers.ImageServer
import qupath.lib.images.servers.ImageServerBuilder.DefaultImageServerBuilder
import qupath.lib.images.servers.ImageServerBuilder.ServerBuilder
import qupath.lib.regions.ImagePlane
import qupath.lib.regions.RegionRequest

import java.awt.image.BufferedImage

/** What is sent to the server of an image that is open in QuPath. */
class Images {

    /**
     * @param plane the z-slice and time point that are meant
     * @param sendPixels whether pixels may be sent where the server cannot read the file as QuPath shows it
     * @param display how a fluorescence image is shown, or null for QuPath's own choice
     */
    static SlideReference reference(ImageData imageData, ImagePlane plane, boolean sendPixels, ImageDisplay display = null) {
        def server = imageData.getServer()
        def pixels = sendPixels ? new Pixels(server, plane, server.isRGB() ? null : channels(imageData, display)) : null
        def mpp = server.getPixelCalibration().getAveragedPixelSizeMicrons()
        def uris = isTheFileItself(server, plane) ? server.getURIs() : []     // without a URI only pixels are left
        SlideReference.of(uris, server.getWidth(), server.getHeight(), mpp as double, pixels)
    }

    /** Whether the first plane of the file, read as RGB, is what QuPath shows. */
    static boolean isTheFileItself(ImageServer server, ImagePlane plane) {
        server.isRGB() && plane.getZ() == 0 && plane.getT() == 0 && whyNotWhole(server.getBuilder()) == null
    }

    /**
     * Why an image's coordinates are not those of the slide that its file holds, in words; null when they are. Only QuPath's plain
     * builder shows a file as it is: a sparse training image has one URI, too, and is no transformed image to QuPath.
     */
    static String whyNotWhole(ServerBuilder builder) {
        if (builder == null)
            return 'it is not known which file it shows'
        if (!(builder instanceof DefaultImageServerBuilder)) {
            def words = builder.getClass().getSimpleName().replaceAll('(Image)?ServerBuilder$', '').replaceAll('(?<=[a-z])(?=[A-Z])', ' ').toLowerCase()
            return "QuPath makes it out of other images (${words})".toString()
        }
        def args = builder.getArgs() as List
        def series = args.indexOf('--series')
        if (series >= 0 && series + 1 < args.size() && args[series + 1] != '0')
            return "it is a further image of its file (series ${args[series + 1]})".toString()
        builder.getURIs().size() == 1 ? null : 'it shows several files'
    }

    /** In words, why pixels are needed, for the user; empty when they are not. */
    static String whyPixels(ImageServer server, ImagePlane plane) {
        if (!server.isRGB())
            return 'This image is not RGB: the server is sent its pixels as they are shown now.'
        if (plane.getZ() != 0 || plane.getT() != 0)
            return 'This is not the first plane of the file: the server is sent its pixels.'
        isTheFileItself(server, plane) ? '' : 'QuPath shows this file in another way than it is stored: the server is sent its pixels.'
    }

    /** What a viewer shows. */
    @CompileStatic
    static Viewport viewport(QuPathViewer viewer) {
        def seen = viewer.getDisplayedRegionShape().getBounds2D()
        new Viewport(seen.getMinX(), seen.getMinY(), seen.getMaxX(), seen.getMaxY(), viewer.getDownsampleFactor())
    }

    /** A display of our own: the viewer's turns to another image when the user does. */
    private static ImageDisplay channels(ImageData imageData, ImageDisplay shown) {
        def own = ImageDisplay.create(imageData)
        if (shown != null)
            own.updateFromDisplay(shown)
        own
    }

    /** Reads what the server asks for from QuPath's own reader; never called on the JavaFX thread. */
    static class Pixels implements PixelProvider {
        private final ImageServer<BufferedImage> server
        private final ImagePlane plane
        private final ImageDisplay display

        Pixels(ImageServer server, ImagePlane plane, ImageDisplay display) {
            this.server = server
            this.plane = plane
            this.display = display
        }

        @Override
        BufferedImage read(PixelWindow window) {
            def request = RegionRequest.createInstance(server.getPath(), window.downsample(),
                    window.x(), window.y(), window.width(), window.height(), plane.getZ(), plane.getT())
            def image = server.readRegion(request)
            display == null ? image : display.applyTransforms(image, null)
        }
    }
}
