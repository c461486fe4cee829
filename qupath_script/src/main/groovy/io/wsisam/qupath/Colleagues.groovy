package io.wsisam.qupath

import io.wsisam.client.WsiSamClient
import io.wsisam.client.annotations.AnnotationQuery
import io.wsisam.client.annotations.StoredAnnotation
import io.wsisam.client.annotations.SyncOptions
import io.wsisam.client.annotations.Watch
import io.wsisam.client.annotations.WatchListener
import io.wsisam.client.connection.WsiSamException
import io.wsisam.script.Settings
import qupath.lib.images.ImageData
import qupath.lib.objects.PathObject

import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.Executors
import java.util.concurrent.ScheduledExecutorService
import java.util.concurrent.TimeUnit

/**
 * Takes in what others accept on the slides that are shown, while it happens: a watch says that something was changed, and a sync
 * to the image, by its rules and its record, does the rest. Any thread.
 */
class Colleagues {
    private static final long DELAY_MS = 150, RETRY_MS = 3000

    private final Settings settings
    private final ServerLink link
    private final Keeper keeper
    private final OpenImages images
    private final Map<String, Watch> watches = new ConcurrentHashMap<>()
    private final Set<String> due = ConcurrentHashMap.newKeySet()
    /** What was taken in, by id: QuPath's undo does not take it away. */
    final Map<String, PathObject> takenIn = new ConcurrentHashMap<>()
    private WsiSamClient watched
    private final ScheduledExecutorService worker = Executors.newSingleThreadScheduledExecutor { task ->
        def thread = new Thread(task, 'wsisam-colleagues')
        thread.setDaemon(true)
        thread
    }

    Colleagues(Settings settings, ServerLink link, Keeper keeper, OpenImages images) {
        this.settings = settings
        this.link = link
        this.keeper = keeper
        this.images = images
    }

    boolean isOn() {
        settings.watchColleagues() && link.store != null
    }

    /** Watches what is to be watched now, and nothing else. On the JavaFX thread, after each change. */
    synchronized void refresh() {
        def wanted = isOn() ? images.all().collect { keeper.slideOf(it) }.findAll { it != null }.toSet() : [] as Set
        if (!link.client.is(watched)) {
            watches.values()*.close()
            watches.clear()
            watched = link.client
        }
        watches.keySet().findAll { !(it in wanted) }.each { watches.remove(it).close() }
        wanted.findAll { !watches.containsKey(it) }.each { start(it) }
    }

    private void start(String slide) {
        def listener = [
            onChange    : { StoredAnnotation changed -> takeIn(slide, DELAY_MS) },
            onRevision  : { long revision, String store -> },
            onConnection: { WsiSamException cause -> if (cause == null) takeIn(slide, DELAY_MS) },
            onEnd       : { WsiSamException why -> Notifications.show(PaletteTexts.of('watch.ended', why.text())) }
        ] as WatchListener
        // From now on; what was before, the first sync brings.
        watches.put(slide, watched.annotations().watch(AnnotationQuery.all().onSlide(slide).after(link.store.revision()), listener))
        takeIn(slide, 0)
    }

    private void takeIn(String slide, long delay) {
        if (due.add(slide))
            worker.schedule({ Guard.run { sync(slide) } }, delay, TimeUnit.MILLISECONDS)
    }

    private void sync(String slide) {
        due.remove(slide)
        images.all().findAll { keeper.slideOf(it) == slide }.each { imageData ->
            try {
                def sync = keeper.sync(SyncOptions.Direction.TO_IMAGE)
                sync.withAuthors = true
                sync.onTakenIn = { PathObject one -> takenIn.put(one.getID().toString(), one) }
                keeper.said(sync.run(imageData, images.entry(imageData)))
            } catch (WsiSamException away) {
                if (watches.containsKey(slide))
                    takeIn(slide, RETRY_MS)
            } catch (IOException unwritable) {
                Notifications.show(PaletteTexts.of('watch.ended', unwritable.getMessage()))
            }
        }
    }

    synchronized void close() {
        watches.values()*.close()
        watches.clear()
        worker.shutdownNow()
    }
}
