"""How sure a place is, and where what looks like the exemplars ends."""

import numpy as np
import pytest

from wsisam_server.segmentation.exemplars import Confidence, least_probability

ALIKE = np.linspace(1.2, 1.4, 40)
NOTHING = np.linspace(0.0, 0.2, 60)


def test_places_like_the_exemplars_are_proposed_and_the_others_not():
    places = np.concatenate([ALIKE, NOTHING])
    confidence = Confidence.learnt(places)
    assert confidence.boundary == pytest.approx(0.7, abs=0.01)
    least, precision, unsure = least_probability(confidence.of(places), confidence.least, None)
    assert (confidence.of(places) >= least).sum() == len(ALIKE)
    assert precision > 0.7
    assert not unsure


@pytest.mark.parametrize(
    ("places", "boundary"),
    [(NOTHING, 0.5), (ALIKE, 0.9), (np.array([0.0, 1.0]), 0.65)],
    ids=["nothing looks like them", "everything does", "hardly any place"],
)
def test_where_there_are_no_two_groups_the_boundary_stays_within_bounds(places, boundary):
    assert Confidence.learnt(places).boundary == boundary


def test_where_nothing_looks_like_the_exemplars_nothing_is_proposed():
    confidence = Confidence.learnt(NOTHING)
    least, precision, unsure = least_probability(confidence.of(NOTHING), confidence.least, None)
    assert not (confidence.of(NOTHING) >= least).any()
    assert (precision, unsure) == (0, True)


def test_places_that_are_hardly_like_them_make_it_unsure_and_fewer_are_proposed():
    places = np.linspace(0.0, 1.0, 100)
    confidence = Confidence.learnt(places)
    beyond = confidence.of(places) >= confidence.least
    least, _, unsure = least_probability(confidence.of(places), confidence.least, None)
    assert unsure
    assert (confidence.of(places) >= least).sum() < beyond.sum()


def test_places_that_are_less_like_them_are_still_sure_where_they_stand_apart():
    places = np.concatenate([np.linspace(0.7, 0.8, 35), np.linspace(0.2, 0.3, 60)])
    confidence = Confidence.learnt(places)
    least, precision, unsure = least_probability(confidence.of(places), confidence.least, None)
    assert (confidence.of(places) >= least).sum() == 35
    assert precision > 0.6
    assert not unsure


def test_a_probability_and_its_similarity_are_one():
    confidence = Confidence(0.7)
    for probability in (0.1, 0.274, 0.5, 0.9):
        assert confidence.of([confidence.similarity(probability)]) == pytest.approx([probability])
    assert confidence.of([0.7]) == pytest.approx([0.274], abs=0.001)
