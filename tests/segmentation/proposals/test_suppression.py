"""What is proposed: the best outline of each object, once, whatever the order of the windows."""

import itertools
import random

import pytest
import shapely

from wsisam_server.core.answers import ClickStatus
from wsisam_server.core.geometry import Point, SlideSize
from wsisam_server.core.requests import ProposalFilter
from wsisam_server.segmentation.proposals import Candidate, Found, NonMaximumSuppression, comparable, judge, tiling

REGION = shapely.MultiPolygon([shapely.box(0, 0, 1000, 1000)])
FILTER = ProposalFilter(30, 90, min_score=0.5, min_stability=0.5, min_agreement=0.5, max_overlap=0.3)
NONE = shapely.STRtree([])


def disc(x, y, radius=25):
    return shapely.Point(x, y).buffer(radius)


def found(part, *, at=None, cut=False, score=0.9, stability=0.9):
    place = at or (part.centroid if part else shapely.Point(5, 5))
    return Found(Point(place.x, place.y), part, cut, score, stability)


def fates(*some, region=REGION, existing=NONE):
    shapely.prepare(region)
    candidates, counts = judge(some, FILTER, region, existing)
    return candidates, {fate: count for fate, count in counts.items() if count}


@pytest.mark.parametrize(
    ("one", "fate"),
    [
        (found(None), ClickStatus.NOTHING),
        (found(disc(500, 500), cut=True), ClickStatus.CUT),
        (found(disc(500, 500, 14)), ClickStatus.TOO_SMALL),
        (found(disc(500, 500, 46)), ClickStatus.TOO_LARGE),
        (found(disc(500, 500), score=0.4), ClickStatus.WEAK),
        (found(disc(500, 500), stability=0.4), ClickStatus.WEAK),
        (found(disc(1010, 500), at=Point(995, 500)), ClickStatus.OUTSIDE),
    ],
)
def test_what_is_left_out_is_counted_with_its_reason(one, fate):
    assert fates(one) == ([], {fate: 1})


def test_one_that_crosses_the_border_is_clipped_to_the_region():
    (only,), _ = fates(found(disc(990, 500)))
    assert only.shape.bounds[2] == 1000
    assert only.shape.area == pytest.approx(only.whole.intersection(REGION).area, rel=0.01)


def test_nothing_reaches_into_a_hole_of_the_region():
    region = shapely.MultiPolygon([REGION.geoms[0] - disc(500, 500, 100)])
    candidates, counts = fates(found(disc(500, 500)), found(disc(500, 610)), found(disc(500, 590)), region=region)
    assert counts == {ClickStatus.OUTSIDE: 2}
    assert candidates[0].shape.intersection(disc(500, 500, 99.9)).area == 0


def test_clicks_that_disagree_make_an_outline_weak():
    whole, others = disc(500, 500), [found(disc(500 + dx, 500, 16), at=Point(500 + dx, 500)) for dx in (-12, 12)]
    assert fates(found(whole), *others)[1] == {ClickStatus.WEAK: 1}
    same = [found(disc(500, 501), at=Point(500 + dx, 500)) for dx in (-12, 12)]
    candidates, _ = fates(found(whole), *same)
    assert [candidate.agreement for candidate in candidates] == [1, 1, 1]


def test_existing_objects_are_not_proposed_again():
    existing = [shapely.MultiPolygon([disc(505, 500)])]
    tree = shapely.STRtree(comparable(existing, FILTER))
    candidates, counts = fates(found(disc(500, 500)), found(disc(600, 500)), existing=tree)
    assert [one.number for one in candidates] == [1]
    assert counts == {ClickStatus.EXISTING: 1}


def test_existing_things_of_another_size_do_no_harm():
    tissue, nucleus, peer = disc(500, 500, 300), disc(500, 500, 5), disc(500, 500, 60)
    shapes = [shapely.MultiPolygon([shape]) for shape in (tissue, nucleus, peer)]
    assert comparable(shapes, FILTER) == [shapes[2]]


def test_existing_things_whose_parts_lie_over_each_other_are_united():
    """Counted across all rings, the same part twice would be nothing, and in nobody's place."""
    (same,) = comparable([shapely.MultiPolygon([disc(500, 500)] * 2)], FILTER)
    assert same.area == pytest.approx(disc(500, 500).area)


def candidate(part, rank, number=0):
    return Candidate(number, part, shapely.MultiPolygon([part]), 1.0, rank)


def settled(tiles, by_window, order):
    suppression = NonMaximumSuppression(tiles, FILTER.max_overlap)
    out = [[about for _, about in suppression.add(number, by_window.get(number, ()))] for number in order]
    return out, suppression


def test_of_nested_and_overlapping_ones_the_best_stays():
    tiles = tiling(REGION, SlideSize(1000, 1000), FILTER, 256, max_windows=1000).tiles
    best, inner, beside, far = disc(500, 500, 30), disc(500, 500, 15), disc(530, 500, 30), disc(600, 500, 30)
    some = [
        (candidate(part, rank), name)
        for part, rank, name in ((inner, 0.8, "inner"), (best, 0.9, "best"), (beside, 0.7, "beside"), (far, 0.6, "far"))
    ]
    out, suppression = settled(tiles, {0: some}, range(len(tiles)))
    assert sorted(itertools.chain(*out)) == ["best", "far"]
    assert suppression.repeated == 2


def test_what_a_beaten_one_would_have_beaten_stays():
    tiles = tiling(REGION, SlideSize(1000, 1000), FILTER, 256, max_windows=1000).tiles
    some = [(candidate(disc(x, 500, 30), rank), x) for x, rank in ((500, 0.9), (530, 0.8), (560, 0.7))]
    out, _ = settled(tiles, {0: some}, range(len(tiles)))
    assert sorted(itertools.chain(*out)) == [500, 560]


def scattered(seed):
    """Windows, and random candidates in each, with numbers about them; and how many there are."""
    rng = random.Random(seed)
    tiles = tiling(REGION, SlideSize(1000, 1000), FILTER, 256, max_windows=1000).tiles
    by_window, total = {}, 0
    for number, tile in enumerate(tiles):
        for click in rng.sample(tile.clicks, 3):
            # Within its window, as what is not cut.
            center = tile.window.center
            x, y = ((at + middle) / 2 for at, middle in ((click.x, center.x), (click.y, center.y)))
            by_window.setdefault(number, []).append((candidate(disc(x, y, rng.uniform(16, 44)), rng.random()), total))
            total += 1
    return tiles, by_window, total


def test_a_search_that_is_gone_on_with_at_any_window_finds_the_same():
    tiles, by_window, total = scattered(11)
    (whole, _), waited = settled(tiles, by_window, range(len(tiles))), 0
    for done in {*range(0, len(tiles), 5), len(tiles) - 1, len(tiles)}:
        before, stopped = settled(tiles, by_window, range(done))
        undecided = {about for _, about in stopped.undecided}
        waited = max(waited, len(undecided))
        again = NonMaximumSuppression(tiles, FILTER.max_overlap)
        again.repeated = stopped.repeated
        candidates = [(number, *one) for number in range(done) for one in by_window[number] if one[1] in undecided]
        again.restore(done, candidates)
        after = [[about for _, about in again.add(n, by_window[n])] for n in range(done, len(tiles))]
        # Each at the very window, too: once what was kept is kept, nothing waits longer.
        assert before + after == whole
        assert again.repeated + len(list(itertools.chain(*whole))) == total
    assert waited > 20


def test_the_order_of_windows_changes_nothing_and_final_is_final():
    """Random objects; whatever is answered at any time is part of the end's result."""
    tiles, by_window, total = scattered(7)
    results = []
    for seed in range(4):
        order = list(range(len(tiles)))
        if seed:
            random.Random(seed).shuffle(order)
        out, suppression = settled(tiles, by_window, order)
        kept = list(itertools.chain(*out))
        assert len(kept) + suppression.repeated == total
        results.append(sorted(kept))
        if not seed:
            assert sum(map(len, out[: len(tiles) // 2])) > len(kept) / 4  # in rows, half of the way, not all at the end
    assert results[1:] == results[:1] * 3
