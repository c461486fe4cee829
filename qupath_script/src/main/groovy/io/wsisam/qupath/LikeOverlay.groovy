package io.wsisam.qupath

import io.wsisam.client.segmentation.LikeProposal
import io.wsisam.script.LikeChoice
import qupath.lib.gui.viewer.QuPathViewer
import qupath.lib.gui.viewer.overlays.PathOverlay
import qupath.lib.images.ImageData
import qupath.lib.objects.classes.PathClass
import qupath.lib.regions.ImageRegion

import java.awt.BasicStroke
import java.awt.Color
import java.awt.Graphics2D
import java.awt.RenderingHints
import java.awt.Shape
import java.awt.image.BufferedImage

/** Draws proposals that are not taken yet: the surer, the stronger; what is rejected, dashed. */
class LikeOverlay implements PathOverlay {
    /** Neither the colour of stained tissue, nor that of a selected object. */
    private static final Color PROPOSED = new Color(0, 229, 255)
    private static final Color REJECTED = new Color(210, 30, 30)
    private static final Color EDGE = new Color(0, 0, 0, 140)
    private static final int LEAST_ALPHA = 90

    private final QuPathViewer viewer
    private final ImageData imageData
    private final Map<String, Shape> outlines = [:]
    private volatile List<LikeProposal> shown = []
    private volatile LikeChoice choice
    private boolean broken

    LikeOverlay(QuPathViewer viewer, ImageData imageData) {
        this.viewer = viewer
        this.imageData = imageData
    }

    /** Shows what a choice shows now; null for nothing. On the JavaFX thread. */
    void show(LikeChoice choice) {
        this.choice = choice
        shown = choice == null ? [] : choice.shown()
        shown.each { one -> outlines.computeIfAbsent(one.result().objectId()) { Annotations.shape(one.result().outline()) } }
        viewer.repaint()
    }

    /** The smallest proposal at a place, or null. */
    LikeProposal at(double x, double y) {
        def there = shown.findAll { outlines[it.result().objectId()].contains(x, y) }
        there.min { def box = outlines[it.result().objectId()].getBounds2D(); box.getWidth() * box.getHeight() }
    }

    @Override
    void paintOverlay(Graphics2D graphics, ImageRegion region, double downsample, ImageData<BufferedImage> painted, boolean complete) {
        if (!painted.is(imageData))
            return
        def g = graphics.create() as Graphics2D
        try {
            g.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON)
            def seen = [region.getX(), region.getY(), region.getWidth(), region.getHeight()] as double[]
            shown.each { one ->
                def outline = outlines[one.result().objectId()]
                if (outline.intersects(seen[0], seen[1], seen[2], seen[3]))
                    paint(g, downsample, outline, one)
            }
        } catch (Throwable mistake) {           // QuPath must go on painting
            if (!broken)
                Notifications.logDefect(mistake)
            broken = true
        } finally {
            g.dispose()
        }
    }

    private void paint(Graphics2D g, double downsample, Shape outline, LikeProposal one) {
        boolean rejected = choice.isRejected(one)
        def colour = rejected ? REJECTED : colourOf(one)
        int alpha = (int) (LEAST_ALPHA + (255 - LEAST_ALPHA) * one.similarity())
        float dash = (float) (4 * downsample)
        g.setColor(EDGE)
        g.setStroke(new BasicStroke((float) (3 * downsample)))
        g.draw(outline)
        g.setColor(new Color(colour.getRed(), colour.getGreen(), colour.getBlue(), alpha))
        g.setStroke(rejected ? new BasicStroke((float) (2 * downsample), BasicStroke.CAP_BUTT, BasicStroke.JOIN_MITER, 10f, [dash, dash] as float[], 0f) :
                new BasicStroke((float) (2 * downsample)))
        g.draw(outline)
    }

    /** Its class's, so that classes are told apart. */
    private static Color colourOf(LikeProposal one) {
        one.className() ? new Color(PathClass.fromString(one.className()).getColor()) : PROPOSED
    }
}
