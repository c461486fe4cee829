"""Which slides train, and which validate."""

import pytest

from support.drawn import square
from wsisam_server.core.geometry import SlideSize
from wsisam_server.learning.dataset_export import DatasetExportError
from wsisam_server.learning.dataset_export.splitting import cases, divided, validating

SIZE = SlideSize(10_000, 4_000)


@pytest.mark.parametrize(
    ("count", "share", "expected"), [(10, 0.2, 2), (3, 0.2, 1), (2, 0.9, 1), (4, 0, 0), (1, 0.2, 0)]
)
def test_a_share_of_the_slides_validates(count, share, expected):
    slides = {str(number): str(number) for number in range(count)}
    assert len(validating(slides, share, 0)) == expected


def test_the_seed_decides():
    slides = {str(number): str(number) for number in range(12)}
    assert validating(slides, 0.25, 1) == validating(slides, 0.25, 1)
    assert len({frozenset(validating(slides, 0.25, seed)) for seed in range(10)}) > 3


def test_a_case_is_never_split():
    names = {str(number): f"P{number % 3}_{number}.svs" for number in range(9)}
    found = cases(names, r"^(P\d)_")
    assert set(found.values()) == {"P0", "P1", "P2"}
    chosen = {names[slide][:2] for slide in validating(found, 0.3, 0)}
    rest = {names[slide][:2] for slide in names if slide not in validating(found, 0.3, 0)}
    assert len(chosen) == 1
    assert not chosen & rest


@pytest.mark.parametrize("pattern", ["(", "^X", "^Z*"])
def test_patterns_that_name_no_case_are_refused(pattern):
    with pytest.raises(DatasetExportError, match="pattern"):
        cases({"1": "P1.svs"}, pattern)


def test_one_slide_is_divided_by_a_line_that_cuts_as_little_as_can_be():
    left = [square(x, 500, 100) for x in range(0, 4000, 200)]
    right = [square(x, 900, 100) for x in (6000, 6200, 6400, 6600, 6800)]
    across = [square(3850, 2000, 1800)]
    (train, val), cut = divided(SIZE, left + right + across, 0.2)
    assert cut == 0
    assert set(val.objects) == set(right)
    assert set(train.objects) == set(left + across)
    assert train.bounds.x1 == val.bounds.x0
    assert (train.bounds.x0, val.bounds.x1, val.bounds.y1) == (0, 10_000, 4_000)


def test_what_lies_across_every_line_is_counted_and_in_neither_part():
    small = [square(x, 0, 90) for x in range(0, 1000, 100)]
    across = square(0, 0, 1000)
    regions, cut = divided(SlideSize(2000, 2500), [*small, across], 0.2)
    assert cut == 1
    assert across not in [one for region in regions for one in region.objects]
    assert all(region.objects for region in regions)


def test_objects_that_no_line_tells_apart_all_train():
    (only,), cut = divided(SIZE, [square(0, 0, 100, 1), square(50, 50, 100, 2)], 0.2)
    assert (only.split, len(only.objects), cut) == ("train", 2, 0)
