// How long a click takes until its outline is on the screen: a drive of tests/in_qupath. See qupath_click.py.
import qupath.lib.gui.viewer.overlays.PathOverlay

import java.util.concurrent.atomic.AtomicInteger
import java.util.concurrent.atomic.AtomicLong

def WARM_UP = 4     // rounds, after which Java has compiled what is called often

go {
    server(System.getProperty('drive.server'))
    open(System.getProperty('drive.image'))
    openPalette()
    until('the server') { says('Ready: ') }
    fx {
        viewer().setDownsampleFactor(1.5)
        viewer().setCenterPixelLocation(1290, 2090)
    }

    def controller = viewer().getCustomOverlayLayers()[-1].controller
    def plane = { controller.shownIn(viewer().getImageData(), 0, 0).find() }
    def painted = new AtomicLong(), framed = new AtomicLong(), clicks = new AtomicInteger()
    // Painted after ours: what it sees of the draft is in the picture.
    def probe = { g, region, downsample, imageData, selected ->
        def draft = plane()?.current
        if (painted.get() == 0 && draft != null && draft.isSettled() && draft.prompt().points().size() == clicks.get())
            painted.set(System.nanoTime())
    } as PathOverlay
    def frame = { if (painted.get() != 0 && framed.get() == 0) framed.set(System.nanoTime()) } as Runnable
    fx {
        viewer().getCustomOverlayLayers().add(probe)
        viewer().getView().getScene().addPostLayoutPulseListener(frame)
    }
    seen.clicks = []
    (Integer.getInteger('drive.clicks').intdiv(5) + WARM_UP).times { round ->
        drag(1180, 1960, 1365, 2190)
        until('an outline') { plane()?.current?.isSettled() }
        (1..5).each { k ->
            sleep(600)
            move(1240 + 10 * k, 2040 + 8 * k)
            painted.set(0)
            framed.set(0)
            clicks.set(k)
            fx { robot.mousePress(MouseButton.PRIMARY) }
            settle()
            long released = System.nanoTime()
            fx { robot.mouseRelease(MouseButton.PRIMARY) }
            until('the frame') { framed.get() != 0 }
            def answer = plane().current.shown().get()
            if (round >= WARM_UP)
                seen.clicks << [painted: (painted.get() - released) / 1e6d, frame: (framed.get() - released) / 1e6d,
                                server: answer.outline().timings().total(), call: answer.roundTrip().toNanos() / 1e6d,
                                vertices: answer.outline().vertexCount(), encoders: answer.outline().timings().encoderRuns()]
        }
        press(KeyCode.ESCAPE)
    }
    seen.java = System.getProperty('java.version')
    seen.qupath = qupath.getVersion().toString()
}
