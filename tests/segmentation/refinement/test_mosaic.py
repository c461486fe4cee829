"""The mosaic of coarse and fine logits: as fine as the windows, and without a trace of their edges."""

import numpy as np
import pytest
import shapely

from wsisam_server.core.geometry import Box, SlideSize, Viewport, Window
from wsisam_server.core.requests import Refinement, ResolvedRefinement
from wsisam_server.segmentation.outlines import outline
from wsisam_server.segmentation.refinement import border_windows, build_mosaic, refinement_prompt

SLIDE = SlideSize(4096, 4096)
COARSE = Window(0, 0, 16, 256)


def distance(shape, xs, ys):
    """Signed distance to the border of a shape, positive inside."""
    if shape == "disc":
        return 1024 - np.hypot(xs - 2050, ys - 2030)
    if shape == "square":  # its edges are straight, and lie a quarter of a stride from any window's edge
        return 1024 - np.maximum(np.abs(xs - 2080), np.abs(ys - 2144))
    if shape == "slanted":  # nowhere along a window's edge
        right, down = xs - 2050, ys - 2030
        return 900 - np.maximum(np.abs(0.88 * right + 0.475 * down), np.abs(0.88 * down - 0.475 * right))
    angle = np.arctan2(ys - 2050, xs - 2030)
    return 900 * (1 + 0.2 * np.sin(9 * angle)) - np.hypot(xs - 2030, ys - 2050)


def logits(shape, window, slope=1.0, shift=0.0):
    places = (np.arange(256) + 0.5) / 256 * window.extent
    away = distance(shape, (window.x + places)[None], (window.y + places)[:, None]) + shift
    return np.clip(away / window.downsample * slope, -10, 10).astype(np.float32)


def answers(shape, disturb=0.0, coarse_shift=0.0):
    """A coarse answer that is off, the windows along its border, and fine answers each off by another amount."""
    random = np.random.default_rng(7)
    coarse = logits(shape, COARSE, shift=coarse_shift)
    levels = border_windows(coarse, COARSE, SLIDE, ResolvedRefinement(1.0, 10_000)).levels
    fine = [
        [(field.high, logits(shape, field.high, shift=float(random.uniform(-disturb, disturb)))) for field in fields]
        for fields in levels
    ]
    return coarse, levels, fine


def seam(geometry, shape, fields):
    """How far an outline comes nearer to the true border, or goes away from it, along one window's edge; the most, px.

    Where one window's answer is cut off and the next one's begins, that is the whole step between them. Where the true
    border itself happens to follow an edge, it is nothing.
    """
    regions = [field.high.region for field in fields]
    edges = {(0, x, r.y0, r.y1) for r in regions for x in (r.x0, r.x1)}
    edges |= {(1, y, r.x0, r.x1) for r in regions for y in (r.y0, r.y1)}
    most = 0.0
    for part in shapely.get_parts(shapely.boundary(geometry)):
        places = shapely.get_coordinates(part)
        away = distance(shape, *places.T)
        for axis, edge, start, end in edges:
            along = places[:, 1 - axis]
            near = np.flatnonzero((np.abs(places[:, axis] - edge) <= 0.5) & (along >= start - 1) & (along <= end + 1))
            for chain in np.split(near, np.flatnonzero(np.diff(near) > 1) + 1):
                most = max(most, float(np.ptp(away[chain]))) if len(chain) else most
    return most


def pasted(mosaic, fine):
    """The same answers, each whole and hard in its place."""
    cut = mosaic.logits.copy()
    for window, values in fine:
        left, top = round(window.x - mosaic.window.x), round(window.y - mosaic.window.y)
        place = cut[max(top, 0) : top + 256, max(left, 0) : left + 256]
        place[:] = values[max(-top, 0) :, max(-left, 0) :][: place.shape[0], : place.shape[1]]
    return cut


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["disc", "square", "lobes"])
def test_a_border_of_8_windows_extent_is_as_fine_as_the_windows(shape):
    coarse, levels, fine = answers(shape, coarse_shift=20.0)
    mosaic = build_mosaic(coarse, COARSE, fine)
    assert [fields[0].high.downsample for fields in levels] == [8, 4, 2, 1]
    assert len(levels[-1]) > 40
    made = outline(mosaic.logits, mosaic.window, SLIDE)
    before = outline(coarse, COARSE, SLIDE)
    assert made.geometry.is_valid
    assert not made.touches_window_edge
    truth = shapely.union_all([outline(logits(shape, COARSE, 0.01), COARSE, SLIDE, tolerance_px=0).geometry])
    assert made.geometry.symmetric_difference(truth).area < 0.25 * before.geometry.symmetric_difference(truth).area
    assert made.tolerance_px < before.tolerance_px / 8


@pytest.mark.slow
@pytest.mark.parametrize("whole", [True, False], ids=["whole ring", "gaps"])
@pytest.mark.parametrize("shape", ["disc", "square", "slanted", "lobes"])
def test_windows_that_disagree_leave_no_seam(shape, whole):
    """No chain of vertices along a window's edge, with answers that are up to 24 px apart, also where windows lack."""
    coarse, levels, fine = answers(shape, disturb=12.0, coarse_shift=12.0)
    fields = [field for scale in levels for field in scale]
    fine = [[one for number, one in enumerate(scale) if whole or number % 4 < 2] for scale in fine]
    mosaic = build_mosaic(coarse, COARSE, fine)
    assert mosaic.rejected == (0, 0, 0, 0)
    made = outline(mosaic.logits, mosaic.window, SLIDE, tolerance_px=0)
    assert len(made.geometry.geoms) == 1
    assert seam(made.geometry, shape, fields) < 1
    # Which says something, as the same answers do have seams where they do not fade.
    assert seam(outline(pasted(mosaic, fine[-1]), mosaic.window, SLIDE, tolerance_px=0).geometry, shape, fields) > 12


def test_answers_that_contradict_the_coarse_one_are_left_out():
    coarse = logits("disc", COARSE)
    levels = border_windows(coarse, COARSE, SLIDE, ResolvedRefinement(1.0, 10_000)).levels
    empty = np.full((256, 256), -5, np.float32)
    away = [[(field.high, empty if number % 2 else -empty) for number, field in enumerate(fields)] for fields in levels]
    mosaic = build_mosaic(coarse, COARSE, away)
    assert mosaic.rejected == tuple(map(len, levels))
    kept, plain = outline(mosaic.logits, mosaic.window, SLIDE), outline(coarse, COARSE, SLIDE)
    assert kept.geometry.symmetric_difference(plain.geometry).area < 0.001 * plain.geometry.area


@pytest.mark.parametrize(("radius", "left_out"), [(80, 0), (110, 0), (200, 1), (30, 1)])
def test_an_answer_of_another_size_is_left_out_also_where_nearly_all_is_background(radius, left_out):
    """The object, 5 coarse cells about its centre, takes a hundredth of the finer window."""

    def disc(size, window):
        xs, ys = _grid(window)
        return ((size - np.hypot(xs - 2050, ys - 2030)) / window.downsample).astype(np.float32)

    fine = Window(1026, 1006, 8, 256)
    mosaic = build_mosaic(disc(80, COARSE), COARSE, [[(fine, disc(radius, fine))]])
    assert mosaic.rejected == (left_out,)


def test_the_coarse_answer_has_a_vote_too_and_each_finer_scale_less_than_the_one_before():
    coarse = logits("disc", COARSE)
    (fields,) = border_windows(coarse, COARSE, SLIDE, ResolvedRefinement(8.0, 10_000)).levels
    fine = [(field.high, logits("disc", field.high)) for field in fields]
    moved = {
        count: build_mosaic(coarse, COARSE, [[(window, values + 2) for window, values in fine]] * count).logits
        - build_mosaic(coarse, COARSE, [fine] * count).logits
        for count in (1, 3)
    }
    assert moved[1].max() == pytest.approx(2 / 2, abs=0.01)
    assert moved[3].max() == pytest.approx(2 * (1 + 0.7 + 0.49) / (1 + 1 + 0.7 + 0.49), abs=0.01)


def test_deep_inside_the_coarse_answer_stands():
    coarse = logits("disc", COARSE)
    holed = []
    for fields in border_windows(coarse, COARSE, SLIDE, ResolvedRefinement(1.0, 10_000)).levels:
        holed.append([])
        for field in fields:
            values = logits("disc", field.high)
            values[distance("disc", *_grid(field.high)) > 16 * 7] = -5  # more than the band away from the border
            holed[-1].append((field.high, values))
    made = outline(build_mosaic(coarse, COARSE, holed).logits, COARSE, SLIDE)
    assert not any(part.interiors for part in made.geometry.geoms)


def _grid(window):
    places = (np.arange(256) + 0.5) / 256 * window.extent
    return (window.x + places)[None], (window.y + places)[:, None]


def test_rings_keep_to_their_bound_and_say_so():
    coarse = logits("disc", COARSE)
    free = border_windows(coarse, COARSE, SLIDE, ResolvedRefinement(1.0, 10_000))
    assert not free.truncated
    assert [{field.high.downsample for field in fields} for fields in free.levels] == [{8.0}, {4.0}, {2.0}, {1.0}]
    sizes = [len(fields) for fields in free.levels]
    assert border_windows(coarse, COARSE, SLIDE, ResolvedRefinement(1.0, sum(sizes))) == free
    bounded = border_windows(coarse, COARSE, SLIDE, ResolvedRefinement(1.0, sum(sizes) - 1))
    assert bounded.truncated
    assert bounded.levels == free.levels[:3]
    assert border_windows(coarse, COARSE, SLIDE, ResolvedRefinement(1.0, 1)) == type(free)((), truncated=True)
    assert border_windows(coarse, COARSE, SLIDE, ResolvedRefinement(16.0, 64)) == type(free)((), truncated=False)
    for fields in free.levels:
        rows = [(field.high.y, field.high.x) for field in fields]
        assert rows == sorted(rows)


def test_fineness_follows_from_the_masks_cells_whatever_the_size_of_the_models_images():
    """A model of 1,024 px has four pixels to a cell of its mask."""
    coarse = logits("disc", COARSE)
    small, large = (
        border_windows(coarse, Window(0, 0, COARSE.extent / size, size), SLIDE, ResolvedRefinement(4.0, 10_000))
        for size in (256, 1024)
    )
    assert len(small.levels) == 2
    for one, other in zip(small.levels, large.levels, strict=True):
        assert [field.high.region for field in one] == [field.high.region for field in other]
        assert {field.high.size for field in other} == {1024}


@pytest.mark.parametrize(("seen", "wanted"), [(1e-320, 1 / 64), (1e300, 2.0**18), (2.0, 2.0)])
def test_a_view_of_any_scale_gives_a_goal(seen, wanted):
    refinement = Refinement().resolve(Viewport(Box(0, 0, 100, 100), seen), 256)
    assert refinement == ResolvedRefinement(wanted, 64)
    border_windows(logits("disc", COARSE), COARSE, SLIDE, refinement)


def test_every_place_of_the_border_lies_in_the_middle_of_a_window():
    coarse = logits("lobes", COARSE)
    fields = border_windows(coarse, COARSE, SLIDE, ResolvedRefinement(2.0, 10_000)).levels[-1]
    border = shapely.get_coordinates(outline(coarse, COARSE, SLIDE).geometry)
    centers = np.array([(field.high.center.x, field.high.center.y) for field in fields])
    off = np.abs(border[:, None] - centers[None]).max(-1).min(1) / fields[0].high.extent
    assert off.max() <= 0.25 + 16 / 512


def test_a_window_beside_the_object_is_not_asked():
    coarse = logits("disc", COARSE)
    assert refinement_prompt(coarse, COARSE, Window(0, 0, 1, 256)) is None
    asked = refinement_prompt(coarse, COARSE, Window(2050 - 128, 1006 - 128, 1, 256))
    assert asked.box is not None
    assert {point.positive for point in asked.points} == {True, False}
    for point in asked.points:
        inside = np.hypot(point.position.x - 2050, point.position.y - 2030) < 1024
        assert inside == point.positive


def test_a_mosaic_of_a_region_cut_by_the_field_says_that_it_is_cut():
    window = Window(500, 500, 8, 256)
    coarse = logits("disc", window)
    levels = border_windows(coarse, window, SLIDE, ResolvedRefinement(1.0, 10_000)).levels
    fine = [[(field.high, logits("disc", field.high)) for field in fields] for fields in levels]
    mosaic = build_mosaic(coarse, window, fine)
    assert outline(mosaic.logits, mosaic.window, SLIDE).touches_window_edge
