"""Searching a region for what looks like exemplars, on a slide with cells on glass and in tissue."""

from collections import Counter
from pathlib import Path

import pytest
import shapely

from support.dark_parts import DarkParts
from support.drawn_slide import AnnotatedSlide, opened
from wsisam_server.cli.app import open_parts
from wsisam_server.core.answers import ClickStatus
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Box
from wsisam_server.core.requests import Exemplar, LikeRequest
from wsisam_server.core.settings import Settings
from wsisam_server.segmentation.segmenter import LikeSurvey, Segmenter
from wsisam_server.slides import registry

pytestmark = pytest.mark.slow

SIZE = (60_000, 40_000)
TISSUE = Box(2_000, 10_000, 12_000, 30_000)
CELLS = [(5_000 + 150 * column, 20_000 + 150 * row) for row in range(8) for column in range(8)]
REGION = shapely.box(4_900, 19_900, 6_200, 21_200)
BARE = shapely.box(40_000, 5_000, 41_000, 6_000)
NOTHING_THERE = shapely.box(9_000, 25_000, 10_000, 26_000)


class Counted(Segmenter):
    """A segmenter whose device can be looked at."""

    def __init__(self, slides, models, limits):
        super().__init__(slides, models, limits)
        self.device = models.device


@pytest.fixture
async def segmenter(tmp_path):
    settings = Settings(slides=(tmp_path,))
    segmenter = Counted(*open_parts(settings), settings.limits)
    await segmenter.start(DarkParts)
    yield segmenter
    await segmenter.close()


@pytest.fixture
def slide():
    return AnnotatedSlide(SIZE, TISSUE, CELLS)


@pytest.fixture
def slide_id(segmenter, slide, tmp_path, monkeypatch):
    return opened(segmenter, slide, tmp_path / "drawn.png", monkeypatch)


def cell(number, radius=30):
    return shapely.MultiPolygon([shapely.Point(CELLS[number]).buffer(radius)])


def shown(slide_id, *numbers, **more):
    return [Exemplar(slide_id, cell(number), **more) for number in numbers]


@pytest.fixture
def planned(segmenter, slide_id):
    def plan(exemplars, region=REGION, **more):
        wanted = LikeRequest(slide_id, shapely.MultiPolygon([region]), (), exemplars, principal="anna", **more)
        return LikeSurvey.planned(segmenter, wanted, 10_000)

    return plan


async def searched(survey):
    steps = [step async for step in survey.steps()]
    assert [step.done for step in steps] == list(range(survey.begun.done + 1, survey.total + 1))
    return [one for step in steps for one in step.proposals], steps[-1]


def met(proposals):
    """Numbers of the cells that proposals show, each once."""
    found = []
    for proposal in proposals:
        shape = proposal.outcome.outline.geometry
        hits = [n for n in range(len(CELLS)) if shape.intersection(cell(n)).area > 0.5 * shape.union(cell(n)).area]
        assert len(hits) == 1
        found += hits
    assert len(found) == len(set(found))
    return set(found)


def encoded(segmenter):
    return segmenter.device.cache.counters.computed


async def test_all_cells_but_the_exemplars_are_found_and_a_second_round_encodes_nothing(segmenter, slide_id, planned):
    survey = planned(shown(slide_id, 9, 20, 43, path_class="Cell"))
    proposals, last = await searched(survey)
    found = met(proposals)
    assert len(found) >= 0.9 * (len(CELLS) - 3)
    assert not found & {9, 20, 43}
    assert all(one.path_class == "Cell" and 0 < one.similarity <= 1 for one in proposals)
    assert all(REGION.buffer(1 / 32).covers(one.outcome.outline.geometry) for one in proposals)
    likeness = last.likeness
    assert likeness.min_size < 60 < likeness.max_size
    assert likeness.expected_precision > 0.5
    assert not likeness.unsure
    assert last.counts[ClickStatus.PROPOSED] == len(proposals)
    before = encoded(segmenter)
    assert 0 < before <= len(survey.plan.tiles)
    again = planned([*shown(slide_id, 9, 20, 43), *shown(slide_id, *sorted(found)[:5])])
    proposals, _ = await searched(again)
    assert encoded(segmenter) == before
    assert not met(proposals) & {*sorted(found)[:5]}


async def test_each_window_is_read_once(slide, slide_id, planned):
    """The exemplars' windows are the region's, here; their background and their features come of one reading."""
    survey = planned([*shown(slide_id, 9, 20, 43), *shown(slide_id, 50, positive=False)])
    await searched(survey)
    windows = {tile.window for tile in survey.plan.tiles}
    reads = Counter(window for window in slide.reads if window in windows)
    assert reads.keys() == windows
    assert set(reads.values()) == {1}


async def test_other_sizes_of_the_same_kind_meet_windows_that_are_kept(segmenter, slide_id, planned):
    first = planned([Exemplar(slide_id, cell(9, 29))])
    await searched(first)
    before = encoded(segmenter)
    second = planned([Exemplar(slide_id, cell(20, 36))])
    assert second.plan.tiles == first.plan.tiles
    await searched(second)
    assert encoded(segmenter) == before


async def test_a_search_goes_on_where_another_stopped(slide_id, planned):
    exemplars = shown(slide_id, 9, 20, 43)
    whole, _ = await searched(planned(exemplars))
    begun, last = [], None
    survey = planned(exemplars)
    async for step in survey.steps():
        begun += step.proposals
        last = step
        if step.done == survey.total - 2:
            break
    rest = planned(exemplars)
    rest.go_on(last)
    assert rest.basis == survey.basis
    proposals, _ = await searched(rest)

    def shapes(some):
        return [one.outcome.outline.geometry.wkt for one in some]

    assert shapes(begun + proposals) == shapes(whole)


async def test_twice_the_same_counts_once(slide_id, planned):
    once, _ = await searched(planned(shown(slide_id, 9, 20)))
    twice, _ = await searched(planned(shown(slide_id, 9, 20, 9, 20)))
    assert met(once) == met(twice)


@pytest.mark.parametrize("region", [NOTHING_THERE, BARE])
async def test_a_region_without_any_is_answered(slide_id, planned, region):
    proposals, last = await searched(planned(shown(slide_id, 9, 20, 43), region))
    assert proposals == []
    assert last.likeness.unsure


async def test_an_exemplar_on_glass_is_refused(slide_id, planned):
    survey = planned([*shown(slide_id, 9), Exemplar(slide_id, shapely.MultiPolygon([BARE.centroid.buffer(30)]))])
    with pytest.raises(WsiSamServerError) as caught:
        await searched(survey)
    assert caught.value.reason is Reason.INVALID_FIELD
    assert "exemplars[1]" in caught.value.public_text
    assert "background" in caught.value.public_text


async def test_so_is_one_on_another_slides_glass(segmenter, slide, slide_id, planned, tmp_path, monkeypatch):
    other = AnnotatedSlide(SIZE, TISSUE, CELLS, grey=True)
    other_id = opened(segmenter, other, tmp_path / "other.png", monkeypatch)
    by_name = {"drawn.png": slide, "other.png": other}
    monkeypatch.setattr(registry, "open_slide", lambda file, *_: by_name[Path(file.path).name])
    assert other_id != slide_id
    await searched(planned([*shown(slide_id, 9), *shown(other_id, 20)]))
    survey = planned([*shown(slide_id, 9), Exemplar(other_id, shapely.MultiPolygon([BARE.centroid.buffer(30)]))])
    with pytest.raises(WsiSamServerError, match="background"):
        await searched(survey)


def disc(x, y, radius):
    return shapely.MultiPolygon([shapely.Point(x, y).buffer(radius)])


@pytest.mark.parametrize(
    ("exemplars", "field", "problem"),
    [
        ([(disc(-90, -90, 30), True)], "exemplars[0]", "outside"),
        ([(shapely.MultiPolygon([shapely.Polygon([(9, 9), (50, 50), (99, 99)])]), True)], "exemplars[0]", "no area"),
        ([(cell(9), True), (cell(9, 300), True)], "exemplars", "10 times"),
        ([(cell(9), True), (cell(9), False)], "exemplars[1]", "at once"),
        ([(cell(9), False)], "exemplars", "positive"),
        ([(shapely.MultiPolygon([shapely.box(0, 0, *SIZE)]), True)], "exemplars[0]", "larger than a window"),
    ],
)
def test_what_cannot_be_used_is_named(slide_id, planned, exemplars, field, problem):
    with pytest.raises(WsiSamServerError) as caught:
        planned([Exemplar(slide_id, shape, positive) for shape, positive in exemplars])
    assert caught.value.reason is Reason.INVALID_FIELD
    assert f"'{field}'" in caught.value.public_text
    assert problem in caught.value.public_text
