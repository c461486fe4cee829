package io.wsisam.qupath

import qupath.lib.images.ImageData
import qupath.lib.objects.PathObject
import qupath.lib.objects.classes.PathClass

/** Which annotations a script works on, as is set at its top, on the command line or by a workflow step. */
class AnnotationSelection {
    /** Ids that a workflow step may name; a step is code, and Java limits its length. */
    private static final int MOST_IDS = 1000

    private static final String REGION = 'Region*'

    /**
     * @param parameters which ('selected', 'all', 'class:NAME' or 'ids'; 'auto', of scripts that were changed earlier, is 'selected': nothing
     *        selected must never mean all that somebody has drawn), and ids (joined by commas)
     */
    static List<PathObject> of(ImageData imageData, Map parameters) {
        def all = imageData.getHierarchy().getAnnotationObjects().toList()
        def which = parameters.which.toString()
        if (isSelection(which)) {
            // QuPath keeps a removed object selected where all were removed at once.
            def there = Collections.newSetFromMap(new IdentityHashMap<PathObject, Boolean>())
            there.addAll(all)
            return imageData.getHierarchy().getSelectionModel().getSelectedObjects().findAll { it in there }.toList()
        }
        if (which == 'all')
            return all
        if (which == 'ids') {
            def ids = parameters.ids.toString().split(',') as Set
            return all.findAll { it.getID().toString() in ids }
        }
        if (which.startsWith('class:')) {
            def named = which.substring('class:'.length())
            // In QuPath's own form, so that 'Tumor:Positive' finds 'Tumor: Positive'.
            def name = named.isBlank() ? '' : PathClass.fromString(named).toString()
            return all.findAll { (it.getPathClass()?.toString() ?: '') == name }
        }
        throw new IllegalArgumentException("'which' is selected, all, class:NAME or ids, not ${which}")
    }

    /** Whether it is what is selected in the viewer, of which there is none without a window and in 'Run for project'. */
    static boolean isSelection(which) {
        which.toString() in ['selected', 'auto']
    }

    /** Whether an annotation says where to look, and not what is there: of class Region*, or of one derived from it. */
    static boolean isRegion(PathObject annotation) {
        names(annotation).any { it == REGION }
    }

    /** Whether an annotation marks what is of no interest: of class Ignore*, or another whose name ends in *, as QuPath has it. */
    static boolean isIgnored(PathObject annotation) {
        names(annotation).any { it.endsWith('*') && it != REGION }
    }

    private static List<String> names(PathObject annotation) {
        (annotation.getPathClass()?.toString() ?: '').split(': ').toList()
    }

    /** The parameters as a workflow step repeats them: a selection, which is gone by then, by its ids. */
    static Map repeatable(Map parameters, List<PathObject> chosen) {
        def values = parameters + [which: parameters.which.toString()]
        if (isSelection(values.which)) {
            boolean few = chosen.size() <= MOST_IDS
            values.which = few ? 'ids' : 'selected'
            values.ids = few ? chosen*.getID().join(',') : ''
        }
        values
    }
}
