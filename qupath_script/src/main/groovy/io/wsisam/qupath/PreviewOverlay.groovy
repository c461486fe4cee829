package io.wsisam.qupath

import groovy.transform.CompileStatic
import io.wsisam.client.segmentation.BoxPrompt
import io.wsisam.client.segmentation.PointPrompt
import io.wsisam.client.segmentation.PolygonPart
import io.wsisam.script.Draft
import qupath.lib.gui.viewer.QuPathViewer
import qupath.lib.gui.viewer.overlays.PathOverlay
import qupath.lib.images.ImageData
import qupath.lib.regions.ImageRegion

import java.awt.BasicStroke
import java.awt.Color
import java.awt.Graphics2D
import java.awt.RenderingHints
import java.awt.Shape
import java.awt.geom.Ellipse2D
import java.awt.geom.Line2D
import java.awt.geom.Rectangle2D
import java.awt.image.BufferedImage

/** Draws in one viewer what is being outlined there: the preview, its clicks and its box. */
@CompileStatic
class PreviewOverlay implements PathOverlay {
    /** Neither the colour of stained tissue, nor QuPath's yellow of what is selected; with a dark edge it is seen on any. */
    private static final Color OUTLINE = new Color(0, 229, 255)
    private static final Color EDGE = new Color(0, 40, 60)
    private static final Color FILL = new Color(0, 229, 255, 40)
    private static final Color POSITIVE = new Color(0, 150, 60)
    private static final Color NEGATIVE = new Color(210, 30, 30)
    private static final Color BOX = new Color(30, 90, 220)

    private final QuPathViewer viewer
    private final AnnotationController controller

    private boolean broken

    /** The box or the loop while the mouse is down, in level-0 pixels, or null. */
    volatile Shape dragged

    PreviewOverlay(QuPathViewer viewer, AnnotationController controller) {
        this.viewer = viewer
        this.controller = controller
    }

    @Override
    void paintOverlay(Graphics2D graphics, ImageRegion region, double downsample, ImageData<BufferedImage> imageData, boolean complete) {
        def g = graphics.create() as Graphics2D
        try {
            g.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON)
            if (controller.colleagues.isOn())
                AuthorNames.paint(g, downsample, imageData, region)
            controller.shownIn(imageData, viewer.getZPosition(), viewer.getTPosition()).each { PlaneSession plane ->
                plane.drafts.each { Draft draft -> paint(g, downsample, draft, plane.outline(draft)) }
            }
            if (dragged != null)
                dashed(g, downsample, dragged)
        } catch (Throwable mistake) {           // QuPath must go on painting
            if (!broken)
                Notifications.logDefect(mistake)
            broken = true
        } finally {
            g.dispose()
        }
    }

    private static void paint(Graphics2D g, double downsample, Draft draft, Shape outline) {
        if (outline != null) {
            g.setColor(FILL)
            g.fill(outline)
            g.setColor(EDGE)
            g.setStroke(new BasicStroke((float) (4 * downsample)))
            g.draw(outline)
            g.setColor(OUTLINE)
            g.setStroke(new BasicStroke((float) (2.5 * downsample)))
            g.draw(outline)
        }
        def prompt = draft.prompt()
        prompt.shape().each { PolygonPart part ->
            dashed(g, downsample, Annotations.drawn(part.outer()))
        }
        if (prompt.box() != null)
            box(g, downsample, prompt.box())
        prompt.points().each { PointPrompt it -> mark(g, downsample, it.x(), it.y(), it.positive()) }
    }

    private static void box(Graphics2D g, double downsample, BoxPrompt box) {
        dashed(g, downsample, new Rectangle2D.Double(box.x0(), box.y0(), box.x1() - box.x0(), box.y1() - box.y0()))
    }

    /** Blue dashes on white: one of the two is seen on any tissue. */
    private static void dashed(Graphics2D g, double downsample, Shape shape) {
        float width = (float) (2 * downsample)
        float dash = (float) (6 * downsample)
        g.setColor(Color.WHITE)
        g.setStroke(new BasicStroke(width))
        g.draw(shape)
        g.setColor(BOX)
        g.setStroke(new BasicStroke(width, BasicStroke.CAP_BUTT, BasicStroke.JOIN_MITER, 10f, [dash, dash] as float[], 0f))
        g.draw(shape)
    }

    /** A disc with a plus or a minus: the colours alone would not tell everybody. */
    private static void mark(Graphics2D g, double downsample, double x, double y, boolean positive) {
        double r = 6 * downsample
        g.setColor(positive ? POSITIVE : NEGATIVE)
        g.fill(new Ellipse2D.Double(x - r, y - r, 2 * r, 2 * r))
        g.setColor(Color.WHITE)
        g.setStroke(new BasicStroke((float) (1.5 * downsample)))
        g.draw(new Line2D.Double(x - r / 2, y, x + r / 2, y))
        if (positive)
            g.draw(new Line2D.Double(x, y - r / 2, x, y + r / 2))
    }
}
