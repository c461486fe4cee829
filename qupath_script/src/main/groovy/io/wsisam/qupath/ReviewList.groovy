package io.wsisam.qupath

import io.wsisam.script.AnnotationMetadata
import qupath.lib.images.ImageData
import qupath.lib.objects.PathObject
import qupath.lib.objects.classes.PathClass

/** What is to be looked through in an image, in which order, and what was said of it. */
class ReviewList {
    /** 'accepted'. A rejected annotation is gone. */
    static final String REVIEW = 'wsisam.review'
    static final String REVIEWER = 'wsisam.reviewer'
    /** ISO 8601, UTC. */
    static final String REVIEWED = 'wsisam.reviewed'

    private final ImageData imageData
    private final Map parameters
    private List<UUID> order
    private int at = 0

    /** @param parameters as at the top of WsiSamReview.groovy */
    ReviewList(ImageData imageData, Map parameters) {
        if (!(parameters.order.toString() in ['place', 'score']))
            throw new IllegalArgumentException("order is 'place' or 'score'.")
        this.imageData = imageData
        this.parameters = parameters
        def chosen = AnnotationSelection.of(imageData, [which: parameters.which]).findAll { it.getROI() != null && isWanted(it) }
        def byPlace = { it.getROI().getCentroidX() }
        // Line by line, in lines as high as a screen about: neighbours come after each other.
        double line = chosen ? Math.max(1d, chosen.collect { it.getROI().getBoundsHeight() }.sum() / chosen.size() * 3) : 1d
        def sorted = parameters.order.toString() == 'score' ? chosen.sort(false) { score(it) } :
                chosen.sort(false) { a, b -> (Math.floor(a.getROI().getCentroidY() / line) <=> Math.floor(b.getROI().getCentroidY() / line)) ?: byPlace(a) <=> byPlace(b) }
        order = sorted*.getID()
    }

    private boolean isWanted(PathObject annotation) {
        score(annotation) <= (parameters.maxScore as double) && (parameters.again || !annotation.getMetadata().containsKey(REVIEW))
    }

    private static double score(PathObject annotation) {
        def said = annotation.getMetadata().get(AnnotationMetadata.SCORE)
        said?.isDouble() ? said.toDouble() : 0d
    }

    /** The one that is looked at; null when there is none. */
    PathObject current() {
        def there = present()
        while (at < order.size() && !there.containsKey(order[at]))
            order.removeAt(at)
        order ? there[order[at = Math.min(at, order.size() - 1)]] : null
    }

    /** How many are not looked at yet. */
    int left() {
        def there = present()
        order.count { there.containsKey(it) && !there[it].getMetadata().containsKey(REVIEW) }
    }

    int size() {
        order.size()
    }

    void step(int by) {
        if (order)
            at = Math.floorMod(at + by, order.size())
    }

    /** Accepts the current one, and goes to the next. */
    void accept() {
        def one = current()
        if (one == null)
            return
        one.getMetadata().put(REVIEW, 'accepted')
        one.getMetadata().put(REVIEWER, parameters.reviewer.toString())
        one.getMetadata().put(REVIEWED, java.time.Instant.now().truncatedTo(java.time.temporal.ChronoUnit.SECONDS).toString())
        imageData.getHierarchy().fireObjectsChangedEvent(this, [one])
        imageData.setChanged(true)
        step(1)
    }

    /** Removes the current one; its children stay. A locked one is never removed: false. */
    boolean reject() {
        def one = current()
        if (one == null || one.isLocked())
            return one == null
        order.removeAt(at)
        imageData.getHierarchy().removeObject(one, true)
        true
    }

    /** Gives the current one a class; null for none. */
    void classify(PathClass pathClass) {
        def one = current()
        if (one == null || one.isLocked())
            return
        one.setPathClass(pathClass)
        imageData.getHierarchy().fireObjectClassificationsChangedEvent(this, [one])
    }

    private Map<UUID, PathObject> present() {
        imageData.getHierarchy().getAnnotationObjects().collectEntries { [(it.getID()): it] }
    }
}
