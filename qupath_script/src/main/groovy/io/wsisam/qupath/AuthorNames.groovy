package io.wsisam.qupath

import groovy.transform.CompileStatic
import io.wsisam.script.AnnotationMetadata
import qupath.lib.images.ImageData
import qupath.lib.objects.PathObject
import qupath.lib.regions.ImageRegion

import java.awt.BasicStroke
import java.awt.Color
import java.awt.Font
import java.awt.Graphics2D

/** Draws whose work an annotation is that was taken in from the store: a frame in the author's colour, and the name. */
@CompileStatic
class AuthorNames {
    /** Smaller objects, in pixels of the screen, have no name: it would be larger than they are. */
    private static final double SMALLEST = 24
    private static final String SYNCED = 'qupath:'

    static void paint(Graphics2D g, double downsample, ImageData imageData, ImageRegion region) {
        imageData.getHierarchy().getAnnotationsForRegion(region, null).each { PathObject one ->
            def author = one.getMetadata().get(AnnotationMetadata.AUTHOR)
            def roi = one.getROI()
            if (author == null || Math.max(roi.getBoundsWidth(), roi.getBoundsHeight()) < SMALLEST * downsample)
                return
            g.setColor(colour(author))
            g.setStroke(new BasicStroke((float) (2 * downsample), BasicStroke.CAP_BUTT, BasicStroke.JOIN_MITER, 10f, [(float) (2 * downsample), (float) (4 * downsample)] as float[], 0f))
            g.draw(roi.getShape())
            g.setFont(new Font(Font.SANS_SERIF, Font.BOLD, 1).deriveFont((float) (12 * downsample)))
            g.drawString(nameOf(author), (float) roi.getBoundsX(), (float) (roi.getBoundsY() - 4 * downsample))
        }
    }

    /** Without what a sync puts before the name of somebody who has no token. */
    static String nameOf(String author) {
        author.startsWith(SYNCED) ? author.substring(SYNCED.length()) : author
    }

    /** The same for a name everywhere; dark enough for a pale ground. */
    static Color colour(String author) {
        Color.getHSBColor((float) ((author.hashCode() & 0xFFFF) / 65536d), 0.85f, 0.7f)
    }
}
