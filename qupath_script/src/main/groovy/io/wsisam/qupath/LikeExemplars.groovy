package io.wsisam.qupath

import io.wsisam.client.WsiSamClient
import io.wsisam.client.annotations.AnnotationShape
import io.wsisam.client.connection.WsiSamException
import io.wsisam.client.segmentation.Exemplar
import io.wsisam.client.slides.Slide
import io.wsisam.script.AnnotationMetadata
import qupath.lib.images.ImageData
import qupath.lib.objects.PathObject
import qupath.lib.objects.classes.PathClass

/** Which annotations show what is looked for: of an image, and of the other images of its project. Not on the JavaFX thread. */
class LikeExemplars {
    /** Of a class in one search; more say nothing new. */
    private static final int MOST = 30

    /** Of a class in one other image, so that no image speaks for all. */
    private static final int MOST_ELSEWHERE = 6

    /** Of a class, where nothing is selected. */
    private static final int LAST = 5

    /** What was left out, in words, for the user. */
    final List<String> notes = []

    private final ImageData imageData
    private final Map parameters

    /** @param parameters like, ids, unlike and of, as at the top of WsiSamLike.groovy */
    LikeExemplars(ImageData imageData, Map parameters) {
        this.imageData = imageData
        this.parameters = parameters
    }

    /** The annotations of the image that show what is looked for. */
    List<PathObject> positive() {
        def like = parameters.like.toString()
        if (!AnnotationSelection.isSelection(like))
            return spread(named(imageData.getHierarchy().getAnnotationObjects(), like, parameters.ids))
        def selected = AnnotationSelection.of(imageData, [which: 'selected']).findAll { isArea(it) }
        spread(selected - regions(selected) ?: lastAccepted())
    }

    /** Those that resemble it, and are not meant. */
    List<PathObject> negative() {
        parameters.unlike ? spread(named(imageData.getHierarchy().getAnnotationObjects(), parameters.unlike.toString(), '')) : []
    }

    /** Of some annotations those that say where to look: of class Region*, or with others of them inside. */
    static List<PathObject> regions(Collection<PathObject> selected) {
        selected.findAll { one ->
            AnnotationSelection.isRegion(one) || selected.any { !it.is(one) && one.getROI().getArea() > it.getROI().getArea() && covers(one, it) }
        }
    }

    static List<Exemplar> of(Collection<PathObject> annotations, boolean positive) {
        annotations.collect { exemplar(it, positive, null) }
    }

    /**
     * What annotations of the project's other images show. Their slides stay open on the server, where they cost nothing.
     *
     * @param entry of the image itself, or null
     */
    List<Exemplar> ofProject(WsiSamClient client, project, entry) {
        if (parameters.of.toString() != 'project' || project == null)
            return []
        def like = AnnotationSelection.isSelection(parameters.like) ? classesOf(positive()) : parameters.like.toString()
        def found = []
        for (other in project.getImageList()) {
            if (other == entry || found.count { it.positive() } >= MOST)
                continue
            def objects = other.readHierarchy().getAnnotationObjects()
            def shown = spread(named(objects, like, ''), MOST_ELSEWHERE)
            def unlike = parameters.unlike ? spread(named(objects, parameters.unlike.toString(), ''), MOST_ELSEWHERE) : []
            if (shown || unlike) {
                def slide = opened(client, other)
                if (slide != null)
                    found.addAll(shown.collect { exemplar(it, true, slide) } + unlike.collect { exemplar(it, false, slide) })
            }
        }
        found
    }

    private Slide opened(WsiSamClient client, other) {
        def data = other.readImageData()
        try {
            def plane = qupath.lib.regions.ImagePlane.getDefaultPlane()
            if (Images.isTheFileItself(data.getServer(), plane)) {
                def slide = WsiSamClient.await(client.openSlide(Images.reference(data, plane, false)))
                if (!slide.byPixels())
                    return slide
            }
            notes << "${other.getImageName()} shows nothing: the server cannot read its file.".toString()
        } catch (WsiSamException unreadable) {
            notes << "${other.getImageName()} shows nothing: ${unreadable.getMessage()}".toString()
        } finally {
            data.getServer().close()
        }
        null
    }

    private static Exemplar exemplar(PathObject annotation, boolean positive, Slide slide) {
        def parts = Shapes.of(annotation.getROI()).parts()
        new Exemplar(parts, null, slide, positive, positive ? annotation.getPathClass()?.toString() ?: '' : '')
    }

    /** Those that were accepted last, all of one class: the newest one's. */
    private List<PathObject> lastAccepted() {
        def there = imageData.getHierarchy().getAnnotationObjects().findAll { isArea(it) && it.getMetadata().containsKey(AnnotationMetadata.MODEL) }.collectEntries { [(it.getID().toString()): it] }
        def steps = imageData.getHistoryWorkflow().getSteps()
        def newestFirst = steps.reverse().findResults { there[it.getParameterMap().get('id')?.toString()] }.unique()
        newestFirst.findAll { it.getPathClass() == newestFirst[0].getPathClass() }.take(LAST)
    }

    /** @param which 'class:A' or 'class:A,B', or 'ids' */
    private static List<PathObject> named(Collection<PathObject> all, String which, ids) {
        def areas = all.findAll { isArea(it) }
        if (which == 'ids') {
            def wanted = ids.toString().split(',') as Set
            return areas.findAll { it.getID().toString() in wanted }
        }
        if (!which.startsWith('class:'))
            throw new IllegalArgumentException("'like' is selected, class:NAME or ids, not ${which}")
        def names = which.substring('class:'.length()).split(',').collect { PathClass.fromString(it.trim()).toString() } as Set
        areas.findAll { it.getPathClass()?.toString() in names }
    }

    private static String classesOf(Collection<PathObject> annotations) {
        'class:' + annotations.collect { it.getPathClass()?.toString() }.findAll().unique().join(',')
    }

    /** At most so many of each class, from all over the image. */
    private static List<PathObject> spread(Collection<PathObject> annotations, int most = MOST) {
        annotations.groupBy { it.getPathClass()?.toString() }.values().collectMany { some ->
            some.size() <= most ? some : (0..<most).collect { some[(int) (it * some.size() / most)] }
        }
    }

    private static boolean isArea(PathObject annotation) {
        annotation.getROI()?.isArea() && !annotation.getROI().isEmpty()
    }

    private static boolean covers(PathObject outer, PathObject inner) {
        def roi = inner.getROI()
        outer.getROI().getImagePlane() == roi.getImagePlane() && outer.getROI().contains(roi.getCentroidX(), roi.getCentroidY())
    }
}
