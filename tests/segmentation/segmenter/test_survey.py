"""What a survey reads and asks of a slide that is mostly glass."""

import asyncio
import threading
from contextlib import aclosing

import pytest
import shapely

from support.dark_parts import DarkParts
from support.drawn_slide import AnnotatedSlide, opened
from support.waiting import turns, until_soon
from wsisam_server.cli.app import open_parts
from wsisam_server.core.answers import ClickStatus
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Box
from wsisam_server.core.requests import ProposalFilter, SurveyRequest
from wsisam_server.core.settings import Settings
from wsisam_server.inference.scheduler import Priority, QueueEntry, WorkItem
from wsisam_server.segmentation.segmenter import Segmenter, Survey

pytestmark = pytest.mark.slow

SIZE = (60_000, 40_000)
TISSUE = Box(2_000, 10_000, 12_000, 30_000)
CELLS = [(55_000 + 150 * column, 20_000 + 150 * row) for row in range(4) for column in range(4)]
FILTER = ProposalFilter(40, 90)

AMONG_TISSUE = shapely.box(5_000, 15_000, 5_360, 15_360)
AMONG_CELLS = shapely.box(54_900, 19_900, 55_600, 20_600)
ON_GLASS = shapely.box(40_000, 5_000, 40_900, 5_900)


class Counted(Segmenter):
    """A segmenter whose device can be looked at."""

    def __init__(self, slides, models, limits):
        super().__init__(slides, models, limits)
        self.device = models.device


def built(folder):
    settings = Settings(slides=(folder,))
    return Counted(*open_parts(settings), settings.limits)


@pytest.fixture
async def segmenter(tmp_path):
    segmenter = built(tmp_path)
    await segmenter.start(DarkParts)
    yield segmenter
    await segmenter.close()


@pytest.fixture
def slide():
    return AnnotatedSlide(SIZE, TISSUE, CELLS)


@pytest.fixture
def planned(segmenter, slide, tmp_path, monkeypatch):
    slide_id = opened(segmenter, slide, tmp_path / "drawn.png", monkeypatch)

    def plan(*parts, proposal_filter=FILTER):
        region = shapely.MultiPolygon(list(parts))
        return Survey.planned(segmenter, SurveyRequest(slide_id, region, (), proposal_filter, principal="anna"), 10_000)

    return plan


async def searched(survey):
    steps = [step async for step in survey.steps()]
    assert [step.done for step in steps] == list(range(1, len(survey.plan.tiles) + 1))
    found = {one.outcome.outline.geometry.wkt for step in steps for one in step.proposals}
    return found, steps[-1].counts


def encoded(segmenter):
    return segmenter.device.cache.counters.computed


async def test_single_cells_on_background_are_found_whatever_else_the_region_holds(planned):
    alone, counts = await searched(planned(AMONG_CELLS))
    assert len(alone) == counts[ClickStatus.PROPOSED] == len(CELLS)
    scattered, _ = await searched(planned(AMONG_TISSUE, ON_GLASS, AMONG_CELLS))
    assert scattered == alone
    one = shapely.Point(CELLS[5]).buffer(80)
    alone, _ = await searched(planned(one))
    assert len(alone) == 1
    assert alone <= scattered


async def test_windows_of_background_are_read_and_counted_but_not_encoded(planned, segmenter, slide):
    survey = planned(ON_GLASS)
    found, counts = await searched(survey)
    assert not found
    assert encoded(segmenter) == 0
    assert set(counts) - {ClickStatus.REPEATED, ClickStatus.PROPOSED} == {ClickStatus.NOTHING}
    assert counts[ClickStatus.NOTHING] == sum(len(tile.clicks) for tile in survey.plan.tiles)
    # With tissue, each window is encoded, and no window is read twice.
    slide.reads.clear()
    survey = planned(AMONG_TISSUE)
    await searched(survey)
    assert encoded(segmenter) == len(survey.plan.tiles)
    of_windows = [window for window in slide.reads if window.downsample == survey.plan.downsample]
    assert sorted(of_windows, key=str) == sorted((tile.window for tile in survey.plan.tiles), key=str)


async def test_no_more_is_read_than_the_windows_and_a_million_pixels(planned, slide):
    """Of a slide without a pyramid, where all between the two parts would be two gigapixels."""
    survey = planned(AMONG_TISSUE, AMONG_CELLS)
    assert not slide.reads
    await searched(survey)
    assert slide.stored_pixels <= 2**20 + sum(tile.window.extent**2 for tile in survey.plan.tiles)


async def test_damage_elsewhere_does_no_harm_and_damage_in_the_region_is_said(planned, slide):
    slide.damaged = Box(20_000, 0, 50_000, 40_000)
    found, counts = await searched(planned(AMONG_TISSUE, AMONG_CELLS))
    assert len(found) == len(CELLS)
    assert counts[ClickStatus.UNREADABLE] == 0
    with pytest.raises(WsiSamServerError) as caught:
        await searched(planned(ON_GLASS))
    assert caught.value.reason is Reason.SLIDE_UNREADABLE
    assert {"x", "y", "width", "height"} <= set(caught.value.details)


async def test_damaged_windows_are_left_out_counted_and_named(planned, slide):
    whole, _ = await searched(planned(AMONG_CELLS))
    slide.damaged = Box(55_030, 19_950, 55_060, 20_050)  # about one of the cells
    survey = planned(AMONG_CELLS)
    steps = [step async for step in survey.steps()]
    found = {one.outcome.outline.geometry.wkt for step in steps for one in step.proposals}
    lost = {tile.window: len(tile.clicks) for tile in survey.plan.tiles if _touch(tile.window.region, slide.damaged)}
    assert 0 < len(lost) < len(survey.plan.tiles)
    assert {window for step in steps for window in step.unreadable} == set(lost)
    assert steps[-1].counts[ClickStatus.UNREADABLE] == sum(lost.values())
    assert steps[-1].done == len(survey.plan.tiles)
    assert 0 < len(found) < len(whole)
    assert found <= whole


def _touch(one, other):
    return one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1


async def test_without_colour_tissue_is_recognised_by_its_darkness(segmenter, tmp_path, monkeypatch):
    grey = AnnotatedSlide(SIZE, TISSUE, CELLS, grey=True)
    slide_id = opened(segmenter, grey, tmp_path / "grey.png", monkeypatch)
    region = shapely.MultiPolygon([AMONG_CELLS, ON_GLASS])
    survey = Survey.planned(segmenter, SurveyRequest(slide_id, region, (), FILTER), 10_000)
    found, _ = await searched(survey)
    assert len(found) == len(CELLS)
    assert 0 < encoded(segmenter) < len(survey.plan.tiles)


async def test_on_a_slide_without_background_all_clicks_are_asked(segmenter, tmp_path, monkeypatch):
    full = AnnotatedSlide(SIZE, Box(0, 0, *SIZE), CELLS)
    slide_id = opened(segmenter, full, tmp_path / "full.png", monkeypatch)
    survey = Survey.planned(segmenter, SurveyRequest(slide_id, shapely.MultiPolygon([AMONG_CELLS]), (), FILTER), 10_000)
    found, _ = await searched(survey)
    assert len(found) == len(CELLS)
    assert encoded(segmenter) == len(survey.plan.tiles)


@pytest.mark.parametrize("after", [0, 20, 200], ids="patches {}".format)
async def test_the_background_filter_waits_behind_clicks_and_ends_when_it_is_cancelled(
    planned, segmenter, slide, after
):
    """Held up in the middle of the looks over the slide, or at the windows: 176 patches, then 100 windows."""
    device, held = segmenter.device, threading.Event()
    arrived = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold(window):
        if len(slide.reads) > after:
            loop.call_soon_threadsafe(arrived.set)
            held.wait(30)

    slide.before = hold

    async def search():
        async with aclosing(planned(ON_GLASS).steps()) as steps:
            async for _ in steps:
                pass

    searching = asyncio.ensure_future(search())
    await asyncio.wait_for(arrived.wait(), 30)
    # It takes one of the readers: a click's window is read meanwhile.
    click = WorkItem([QueueEntry(Priority.INTERACTIVE_ENCODE, "bob")])
    assert (await asyncio.wait_for(device.read(click, lambda: "read"), 10))[0] == "read"
    searching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await searching
    held.set()
    before = len(slide.reads)
    await asyncio.sleep(0.1)
    # What had begun ran to its end, a row of patches at most.
    assert len(slide.reads) - before < 16
    assert not any(device.waiting().values())


async def test_the_background_filter_keeps_to_its_principals_share(planned, segmenter, slide):
    device, free = segmenter.device, threading.Event()
    busy = [
        asyncio.ensure_future(device.read(WorkItem([QueueEntry(Priority.BATCH, principal)]), lambda: free.wait(30)))
        for principal in ("bob", "bob", "carol", "carol")
    ]
    await turns()
    searching = asyncio.ensure_future(searched(planned(ON_GLASS)))
    await until_soon(lambda: device.waiting()[Priority.BATCH])
    assert device.waiting()[Priority.BATCH] == 1
    assert not slide.reads
    searching.cancel()
    await asyncio.gather(searching, return_exceptions=True)
    assert not any(device.waiting().values())
    free.set()
    await asyncio.gather(*busy)
    assert not slide.reads


async def test_background_of_a_real_slide_is_left_out(real_slides):
    segmenter = built(real_slides)
    await segmenter.start(DarkParts)
    slide_id, _, _ = segmenter.open_slide(str(real_slides / "CMU-1-Small-Region.svs"), None)

    async def shares(*box):
        """Of the windows those that were encoded, and of the clicks those that were not asked, at least."""
        region = shapely.MultiPolygon([shapely.box(*box)])
        survey = Survey.planned(segmenter, SurveyRequest(slide_id, region, (), ProposalFilter(5, 15)), 10_000)
        before = encoded(segmenter)
        _, counts = await searched(survey)
        return (encoded(segmenter) - before) / len(survey.plan.tiles), counts[ClickStatus.NOTHING] / sum(
            counts.values()
        )

    windows, nothing = await shares(700, 1200, 900, 1400)  # two thirds glass
    assert 0.2 < windows < 0.5
    assert nothing > 0.5
    windows, _ = await shares(1000, 1900, 1150, 2050)  # tissue
    assert windows == 1
    await segmenter.close()
