package io.wsisam.qupath

import qupath.lib.images.ImageData
import qupath.lib.objects.PathObject
import qupath.lib.objects.classes.PathClass

/** Which annotations a script works on, as it is told at its top, on the command line or by a workflow step. */
class Chosen {
    /** Ids that a workflow step may name; a step is code, and Java limits its length. */
    private static final int MOST_IDS = 1000

    /**
     * @param wishes which ('selected', 'all', 'class:NAME', 'ids', or 'auto': the selected ones if there are any, else all), and ids
     *        (joined by commas)
     */
    static List<PathObject> of(ImageData imageData, Map wishes) {
        def all = imageData.getHierarchy().getAnnotationObjects().toList()
        def selected = imageData.getHierarchy().getSelectionModel().getSelectedObjects().findAll { it.isAnnotation() }.toList()
        def which = wishes.which.toString()
        if (which == 'auto')
            return selected ?: all
        if (which == 'selected')
            return selected
        if (which == 'all')
            return all
        if (which == 'ids') {
            def ids = wishes.ids.toString().split(',') as Set
            return all.findAll { it.getID().toString() in ids }
        }
        if (which.startsWith('class:')) {
            def named = which.substring('class:'.length())
            // In QuPath's own form, so that 'Tumor:Positive' finds 'Tumor: Positive'.
            def name = named.isBlank() ? '' : PathClass.fromString(named).toString()
            return all.findAll { (it.getPathClass()?.toString() ?: '') == name }
        }
        throw new IllegalArgumentException("'which' is selected, all, class:NAME, ids or auto, not ${which}")
    }

    /** The wishes as a workflow step repeats them: a selection, which is gone by then, by its ids. */
    static Map repeatable(Map wishes, List<PathObject> chosen) {
        def values = wishes + [which: wishes.which.toString()]
        if (values.which in ['auto', 'selected']) {
            boolean few = chosen.size() <= MOST_IDS
            values.which = few ? 'ids' : 'selected'
            values.ids = few ? chosen*.getID().join(',') : ''
        }
        values
    }
}
