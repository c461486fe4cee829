package io.wsisam.qupath

import io.wsisam.client.segmentation.Stage

import java.math.MathContext

/** What the palette says of the object that is being drawn. */
class StatusText {
    private static final Map<Stage, String> WAITING = [
        (Stage.WAITING_FOR_PIXELS): 'Sending the pixels of this place to the server\u2026',
        (Stage.ENCODING)          : 'Reading the slide here for the first time\u2026',
        (Stage.LOADING_MODEL)     : 'The server is loading the model; that may take a minute\u2026'
    ]

    /**
     * @param on whether the click tool is on: else clicks do something else
     * @param keys the names of keys, by what they do
     */
    static String of(plane, draft, boolean on, Map<String, List<String>> keys) {
        int drafts = plane?.drafts?.size() ?: 0
        if (!on && drafts == 0)
            return 'Another tool is on. The click tool: Q, or the button above.'
        def stage = plane?.stage
        if (stage != null && !draft?.isRefining())
            return WAITING[stage]
        if (draft == null)
            return drafts == 0 ? PaletteTexts.of('draw') : "${drafts} accepted, waiting for their outlines\u2026"
        def answer = draft.shown().orElse(null)
        if (!draft.isSendable())
            return draft.summary() + ' \u2013 add a box or a positive click'
        if (draft.isRefining())
            return draft.summary() + " \u2013 refining the border, ${plane.windowsDone} of ${plane.windowsTotal ?: '?'} windows\u2026 (${keys.REJECT[0]} stops it)"
        if (!draft.isSettled())
            return draft.summary() + ' \u2013 asking\u2026'
        if (answer.outline().isEmpty())
            return draft.summary() + ' \u2013 nothing found here' + candidates(draft, answer.outline(), keys)
        def cut = answer.outline().cutByField() ? " \u2013 cut off: ${keys.LARGER[0]} looks at more" : ''
        def (score, border) = [answer.outline().score(), border(answer.outline(), plane.slide)]
        String.format('%s \u2013 score %.2f%s%s%s%s%s%s', draft.summary(), score, field(draft, answer.outline()), candidates(draft, answer.outline(), keys), border, cut, fitted(plane.finished(draft)), unhonoured(answer.outline()))
    }

    /** At which zoom the model looks, where the user chose that. */
    private static String field(draft, outline) {
        draft.hasChosenField() ? " \u2013 at downsample ${(outline.window().downsample() as BigDecimal).round(new MathContext(2)).stripTrailingZeros().toPlainString()}" : ''
    }

    /** Which of the objects that the click may mean is shown, and how the others are. */
    private static String candidates(draft, outline, keys) {
        int count = draft.candidateCount()
        count > 1 ? " \u2013 ${outline.chosen() + 1} of ${count} (${keys.SMALLER[0]} smaller, ${keys.LARGER[0]} larger)" : " \u2013 ${keys.SMALLER[0]} smaller, ${keys.LARGER[0]} larger"
    }

    private static String fitted(finished) {
        finished == null ? '' : finished.nothingLeft() ? " \u2013 ${PaletteTexts.of('finish.nothing')}" : finished.cut() ? " \u2013 ${PaletteTexts.of('finish.cut')}" : ''
    }

    /** Clicks that the outline contradicts: the model sees nothing there that belongs to the object. */
    private static String unhonoured(outline) {
        def numbers = outline.unhonouredPoints().collect { it + 1 }
        numbers ? " \u2013 not possible at click ${numbers.join(', ')}: nothing of the object is seen there" : ''
    }

    /** The scales at which the border was looked at. */
    private static String border(outline, slide) {
        def mpp = slide?.pixelSize()?.mpp()
        def size = mpp?.isPresent() ? mpp.getAsDouble() : 1d
        def scale = { level -> (outline.cell(level) * size as BigDecimal).round(new MathContext(2)).stripTrailingZeros().toPlainString() }
        def unit = mpp?.isPresent() ? '\u00b5m/px' : 'px'
        def limit = outline.truncated() ? ' (finer would need too many)' : ''
        outline.isRefined() ? " \u2013 border at ${scale(outline.levels()[-1])} instead of ${scale(outline.levels()[0])} ${unit}, ${outline.borderWindows()} windows${limit}" : limit
    }
}
