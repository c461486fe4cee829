"""How sure a place is, and where what looks like the exemplars ends."""

import numpy as np
import pytest

from wsisam_server.segmentation.exemplars import Confidence, least_probability

ALIKE = np.linspace(0.9, 1.0, 40)
NOTHING = np.linspace(0.0, 0.1, 60)
EXEMPLARS = np.array([0.98, 1.0, 1.02])


def test_places_like_the_exemplars_are_proposed_where_they_stand_apart():
    places = np.concatenate([ALIKE, NOTHING])
    confidence = Confidence().told_apart(places, EXEMPLARS)
    assert confidence.middle == pytest.approx(0.5, abs=0.01)
    least, precision, unsure = least_probability(confidence.of(places), None)
    assert (confidence.of(places) >= least).sum() == len(ALIKE)
    assert precision > 0.7
    assert not unsure


@pytest.mark.parametrize(
    ("places", "exemplars"),
    [
        (np.linspace(0.0, 2.0, 100), EXEMPLARS),
        (np.random.default_rng(0).normal(0.5, 0.3, 400), EXEMPLARS),
        (np.concatenate([ALIKE, NOTHING]) + 1.0, EXEMPLARS),
        (np.array([0.0, 1.0]), EXEMPLARS),
    ],
    ids=["evenly spread", "one heap", "the exemplars lie in the lower group", "hardly any place"],
)
def test_the_curve_stays_where_nothing_stands_apart(places, exemplars):
    assert Confidence().told_apart(places, exemplars) == Confidence()


def test_it_is_never_stricter_than_the_curve():
    assert Confidence(middle=0.2).told_apart(np.concatenate([ALIKE, NOTHING]), EXEMPLARS).middle == 0.2
