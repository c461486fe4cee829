"""The way of one prompt, on an engine that answers at once."""

import asyncio

import pytest
import shapely

from support.drawn_slide import AnnotatedSlide, opened
from support.fake_engine import FakeModels
from wsisam_server.core.answers import RefinementLevel
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Box, Point, SlideSize, Window
from wsisam_server.core.pixels import PixelsNeededError
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.core.requests import AtDownsample, ExactWindow, OutlineOptions, PartsPolicy, Refinement, Request
from wsisam_server.core.settings import Limits
from wsisam_server.segmentation.segmenter import Segmenter
from wsisam_server.slides import OpenSlides, SlideAccess

CELL = (1000.0, 800.0)
DISC = shapely.Point(CELL).buffer(30, quad_segs=64)
BOX = SlidePrompt(box=Box(960, 760, 1040, 840))
LIMITS = Limits(points_per_prompt=3, prefetched_fields=0, refinement_windows=4)


def click(x, y, *, positive=True):
    return PromptPoint(Point(x, y), positive=positive)


class Heard:
    """An observer that remembers."""

    def __init__(self):
        self.outcomes, self.errors = [], []

    def answered(self, request, outcome, seconds):
        self.outcomes.append(outcome)

    def failed(self, request, error):
        self.errors.append(error)


class Pusher:
    """A client in pixel mode: sends what it is asked for."""

    can_ask = True

    def __init__(self, segmenter, slide_id):
        self.asked, self.encodings = [], 0
        self._segmenter, self._slide_id = segmenter, slide_id

    def planned(self, field):
        pass

    def loading(self):
        pass

    def encoding(self):
        self.encodings += 1

    def refining(self, done, total):
        pass

    async def pixels_needed(self, windows):
        self.asked += windows
        for window in windows:
            data = bytes([90, 60, 120]) * (window.tile_width * window.tile_height)
            await self._segmenter.push(self._slide_id, window, "raw", data)


@pytest.fixture
def models():
    return FakeModels()


@pytest.fixture
def engine(models):
    return models.engine


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
async def segmenter(tmp_path, models, heard):
    segmenter = Segmenter(OpenSlides(SlideAccess((tmp_path,), ()), LIMITS), models, LIMITS, heard)
    yield segmenter
    await segmenter.close()


@pytest.fixture
def slide():
    return AnnotatedSlide((4000, 3000), Box(-2, -2, -1, -1), [CELL, (1200.0, 800.0)])


@pytest.fixture
def ask(segmenter, slide, tmp_path, monkeypatch):
    """Asks one prompt about the drawn slide."""
    slide_id = opened(segmenter, slide, tmp_path / "drawn.png", monkeypatch)

    async def asked(prompt=BOX, **more):
        how = {name: more.pop(name) for name in ("listener", "field") if name in more}
        return await segmenter.segment(Request(slide_id, prompt, **more), **how)

    return asked


@pytest.fixture
async def pushed(segmenter):
    """The id of a slide whose pixels a client sends."""
    slide_id, _, is_read_here = await segmenter.opened("/nowhere.svs", (SlideSize(2000, 2000), None))
    assert not is_read_here
    return slide_id


def agreement(outcome):
    geometry = outcome.outline.geometry
    return geometry.intersection(DISC).area / geometry.union(DISC).area


async def test_an_outline_of_the_object_in_level_0_pixels(ask, engine, heard):
    outcome = await ask()
    assert agreement(outcome) > 0.9
    assert outcome.model == engine.info
    assert outcome.field.high.region.x0 <= BOX.box.x0
    assert BOX.box.x1 <= outcome.field.high.region.x1
    assert outcome.times.encoder_runs == 1
    assert heard.outcomes == [outcome]


async def test_the_second_prompt_in_a_field_reads_and_encodes_nothing(ask, engine, slide):
    first = await ask()
    second = await ask(field=first.field)
    assert (len(slide.reads), engine.counters.computed, second.times.encoder_runs) == (1, 1, 0)
    assert second.outline.geometry.equals(first.outline.geometry)


async def test_a_prompt_is_clipped_to_the_slide(ask, engine):
    await ask(SlidePrompt(box=Box(-50, -50, 200, 200)))
    assert engine.asked[0].prompt.box == Box(0, 0, 200, 200)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"prompt": SlidePrompt(box=Box(9000, 0, 9100, 100))}, Reason.PROMPT_OUTSIDE_SLIDE),
        ({"prompt": SlidePrompt(points=tuple(click(10.0 * n, 10) for n in range(4)))}, Reason.TOO_MANY_POINTS),
        ({"model": "another"}, Reason.UNKNOWN_MODEL),
        ({"refinement": Refinement(max_windows=5)}, Reason.INVALID_FIELD),
    ],
)
async def test_what_is_wrong_is_said_before_the_model_is_asked(ask, engine, heard, more, reason):
    with pytest.raises(WsiSamServerError) as caught:
        await ask(**more)
    assert caught.value.reason is reason
    assert engine.asked == []
    assert heard.errors == [caught.value]


async def test_the_callers_scale_and_window_are_kept(ask):
    assert (await ask(choice=AtDownsample(2.0))).field.high.downsample == 2.0
    window = Window(900.0, 700.0, 1.0, 256)
    assert (await ask(choice=ExactWindow(window))).field.high == window


async def test_clicks_in_a_box_correct_what_is_drawn_for_the_box(ask, engine):
    prompt = SlidePrompt((click(*CELL),), BOX.box)
    await ask(prompt)
    boxed, corrected = engine.asked
    assert (boxed.prompt, boxed.mask) == (SlidePrompt(box=BOX.box), None)
    assert corrected.prompt == prompt
    assert corrected.mask is not None


async def test_an_earlier_answer_is_fed_back_in_its_own_field_only(ask, engine):
    first = await ask()
    more = SlidePrompt((click(*CELL),), BOX.box)
    await ask(more, earlier=first, field=first.field)
    assert engine.asked[-1].mask is first.logits
    assert len(engine.asked) == 2
    elsewhere = SlidePrompt((click(*CELL),))
    await ask(elsewhere, earlier=first, choice=AtDownsample(4.0))
    assert engine.asked[-1].mask is None


async def test_tiny_components_are_left_out_by_default(ask):
    away = SlidePrompt(box=Box(960, 760, 1240, 840))
    both = await ask(away)
    assert len(both.outline.geometry.geoms) == 2
    none = await ask(away, options=OutlineOptions(min_area=4000.0))
    assert none.outline.geometry.is_empty


async def test_parts_without_a_positive_click_are_left_out_unless_all_are_wanted(ask):
    """Two cells in one box: the click says which is meant."""
    away = SlidePrompt((click(*CELL),), box=Box(960, 760, 1240, 840))
    one = await ask(away)
    assert agreement(one) > 0.9
    assert one.outline.dropped_parts == 1
    both = await ask(away, options=OutlineOptions(parts=PartsPolicy.ALL))
    assert len(both.outline.geometry.geoms) == 2
    clicked = await ask(SlidePrompt((click(*CELL), click(1200.0, 800.0)), away.box))
    assert len(clicked.outline.geometry.geoms) == 2


async def test_a_click_that_the_model_contradicts_is_honoured_and_the_next_mask_has_it(ask):
    beyond = shapely.Point(1033.0, 800.0)
    prompt = SlidePrompt((click(*CELL), click(beyond.x, beyond.y)), BOX.box)
    drawn = await ask(prompt, options=OutlineOptions(honour_points=False))
    assert drawn.unhonoured == (1,)
    assert not drawn.outline.geometry.contains(beyond)
    honoured = await ask(prompt)
    assert honoured.unhonoured == ()
    assert honoured.outline.geometry.contains(beyond)
    assert honoured.outline.geometry.contains(shapely.Point(CELL))
    assert (honoured.logits != drawn.logits).any()


async def test_a_click_on_nothing_is_named(ask):
    elsewhere = SlidePrompt((click(*CELL), click(1035.0, 835.0)), BOX.box)
    answer = await ask(elsewhere, options=OutlineOptions(honour_points=False))
    assert answer.unhonoured == (1,)


async def test_a_clicked_part_that_is_too_small_to_keep_is_named(ask):
    answer = await ask(SlidePrompt((click(*CELL),), BOX.box), options=OutlineOptions(min_area=4000.0))
    assert answer.outline.geometry.is_empty
    assert answer.unhonoured == (0,)


async def test_a_border_is_refined_in_finer_windows_within_the_bound(ask):
    coarse = await ask(choice=AtDownsample(8.0))
    fine = await ask(choice=AtDownsample(8.0), refinement=Refinement(downsample=1.0, max_windows=4))
    assert coarse.levels == (RefinementLevel(8.0, 1),)
    assert fine.levels[-1].downsample < 8.0
    assert sum(level.windows for level in fine.levels[1:]) <= 4
    assert agreement(fine) > agreement(coarse)


async def test_an_error_of_the_engine_reaches_the_caller_and_the_next_prompt_is_answered(ask, engine, models, heard):
    engine.errors.append(WsiSamServerError(Reason.OUT_OF_DEVICE_MEMORY))
    with pytest.raises(WsiSamServerError) as caught:
        await ask()
    assert caught.value.reason is Reason.OUT_OF_DEVICE_MEMORY
    assert agreement(await ask()) > 0.9
    assert (len(heard.errors), len(heard.outcomes), models.leased["held"]) == (1, 1, 0)


async def test_whom_nobody_waits_for_any_more_holds_no_model(ask, slide, models, heard):
    reading = asyncio.Event()
    loop = asyncio.get_running_loop()
    slide.before = lambda _: loop.call_soon_threadsafe(reading.set)
    task = asyncio.ensure_future(ask())
    await asyncio.wait_for(reading.wait(), 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert models.leased["held"] == 0
    assert [type(error) for error in heard.errors] == [asyncio.CancelledError]


async def test_missing_pixels_are_an_error_for_who_cannot_send_them(segmenter, pushed, engine):
    with pytest.raises(PixelsNeededError) as caught:
        await segmenter.segment(Request(pushed, BOX))
    assert len(caught.value.windows) == 1
    assert engine.asked == []


async def test_who_can_is_asked_once_for_a_field_and_without_a_lease(segmenter, pushed, models):
    client = Pusher(segmenter, pushed)
    outcome = await segmenter.segment(Request(pushed, BOX), client)
    assert not outcome.outline.geometry.is_empty
    await segmenter.segment(Request(pushed, BOX), client, field=outcome.field)
    assert (len(client.asked), client.encodings, models.leased["held"]) == (1, 1, 0)


async def test_what_was_evicted_meanwhile_is_asked_for_again(segmenter, pushed, engine):
    engine.errors.append(PixelsNeededError(()))
    client = Pusher(segmenter, pushed)
    await segmenter.segment(Request(pushed, BOX), client)
    assert len(engine.asked) == 2


async def test_but_not_for_ever(segmenter, pushed, engine):
    engine.errors.extend(PixelsNeededError(()) for _ in range(100))
    with pytest.raises(PixelsNeededError):
        await segmenter.segment(Request(pushed, BOX), Pusher(segmenter, pushed))
    assert 1 < len(engine.asked) < 10
