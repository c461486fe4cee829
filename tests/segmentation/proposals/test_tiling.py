"""Where is looked: every place of the region once, whole windows on the slide, and never more than allowed."""

import math

import pytest
import shapely

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import SlideSize
from wsisam_server.core.requests import ProposalFilter
from wsisam_server.segmentation.proposals import repaired_region, tiling

SLIDE = SlideSize(2000, 1500)
FILTER = ProposalFilter(30, 90)
RING = shapely.MultiPolygon([shapely.Point(900, 700).buffer(400) - shapely.Point(900, 700).buffer(150)])


def plan(region=RING, slide=SLIDE, proposal_filter=FILTER, limit=10_000):
    return tiling(repaired_region(region, slide), slide, proposal_filter, 256, max_windows=limit)


def test_clicks_fill_the_region_evenly_and_lie_nowhere_else():
    made = plan()
    clicks = [click for tile in made.tiles for click in tile.clicks]
    assert len(set(clicks)) == len(clicks)
    assert all(RING.contains(shapely.Point(click.x, click.y)) for click in clicks)
    assert len(clicks) * made.spacing**2 == pytest.approx(RING.area, rel=0.03)
    assert made.spacing <= FILTER.min_size


def test_an_object_of_the_largest_size_is_whole_in_the_window_of_a_click_near_its_middle():
    made = plan()
    for tile in made.tiles:
        area = tile.window.region
        for click in tile.clicks:
            assert area.x0 <= click.x - FILTER.max_size / 2
            assert click.x + FILTER.max_size / 2 <= area.x1
            assert area.y0 <= click.y - FILTER.max_size / 2
            assert click.y + FILTER.max_size / 2 <= area.y1


@pytest.mark.parametrize("slide", [SlideSize(2000, 1500), SlideSize(130, 120), SlideSize(2000, 50)])
def test_windows_lie_on_the_slide_as_far_as_they_fit_and_each_is_there_once(slide):
    whole = shapely.MultiPolygon([shapely.box(-50, -50, 5000, 5000)])
    made = plan(whole, slide)
    windows = [tile.window for tile in made.tiles]
    assert len(set(windows)) == len(windows)
    for window in windows:
        for start, length in ((window.x, slide.width), (window.y, slide.height)):
            if window.extent < length:
                assert start >= 0
                assert start + window.extent <= length + 1e-9
            else:
                assert start == pytest.approx((length - window.extent) / 2)
    assert sum(len(tile.clicks) for tile in made.tiles) > 0


def test_the_same_place_is_asked_in_the_same_way_whatever_the_region():
    small = plan(shapely.MultiPolygon([shapely.box(600, 500, 700, 560)]))
    large = {
        click for tile in plan(shapely.MultiPolygon([shapely.box(0, 0, 2000, 1500)])).tiles for click in tile.clicks
    }
    assert {click for tile in small.tiles for click in tile.clicks} <= large


def test_a_region_between_the_clicks_gets_one():
    made = plan(shapely.MultiPolygon([shapely.box(700, 700, 702, 702)]))
    assert [len(tile.clicks) for tile in made.tiles] == [1]


def test_a_thin_region_across_a_huge_slide_takes_few_windows():
    slide = SlideSize(200_000, 200_000)
    strip = shapely.MultiPolygon([shapely.LineString([(0, 0), (200_000, 200_000)]).buffer(20)])
    assert 2_000 < len(plan(strip, slide).tiles) < 10_000


@pytest.mark.parametrize("side", [20_000, 200_000])
def test_too_many_windows_are_refused_at_once(side):
    whole = shapely.MultiPolygon([shapely.box(0, 0, side, side)])
    with pytest.raises(WsiSamServerError) as caught:
        plan(whole, SlideSize(side, side))
    assert caught.value.reason is Reason.REGION_TOO_LARGE
    assert int(caught.value.details["needed"]) == pytest.approx((side / FILTER.max_size) ** 2, rel=0.01)


@pytest.mark.parametrize("sizes", [(0.01, 0.1), (1e7, 9e7)])
def test_sizes_that_no_window_can_show_are_refused(sizes):
    with pytest.raises(WsiSamServerError) as caught:
        plan(proposal_filter=ProposalFilter(*sizes))
    assert caught.value.reason is Reason.INVALID_FIELD


def bow_tie():
    return shapely.MultiPolygon([shapely.Polygon([(100, 100), (300, 300), (300, 100), (100, 300)])])


def test_a_region_that_crosses_itself_is_repaired():
    region = repaired_region(bow_tie(), SLIDE)
    assert region.is_valid
    assert region.area == pytest.approx(20_000)


def test_areas_of_a_region_that_lie_over_each_other_are_one():
    first, second = shapely.box(100, 100, 200, 200), shapely.box(150, 150, 250, 250)
    assert repaired_region(shapely.MultiPolygon([first, second]), SLIDE).area == pytest.approx(17_500)
    assert repaired_region(shapely.MultiPolygon([first, first]), SLIDE).area == pytest.approx(10_000)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (shapely.MultiPolygon(), Reason.INVALID_REGION),
        (shapely.MultiPolygon([shapely.Polygon([(0, 0), (9, 9), (18, 18)])]), Reason.INVALID_REGION),
        (shapely.MultiPolygon([shapely.box(-90, 0, -10, 50)]), Reason.REGION_OUTSIDE_SLIDE),
        (shapely.MultiPolygon([shapely.box(2000, 0, 2100, 50)]), Reason.REGION_OUTSIDE_SLIDE),
    ],
)
def test_a_region_in_which_nothing_can_be_looked_for(shape, reason):
    with pytest.raises(WsiSamServerError) as caught:
        repaired_region(shape, SLIDE)
    assert caught.value.reason is reason


def test_sizes_in_microns_become_pixels():
    assert ProposalFilter(4, 12).in_pixels(0.25) == ProposalFilter(16, 48)
    assert ProposalFilter(4, 12).in_pixels(None) == ProposalFilter(4, 12)
    assert math.isclose(plan().downsample * 256, 2 * FILTER.max_size)
