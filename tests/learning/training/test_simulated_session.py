"""An object is asked for as an annotator would, and corrected where the answer was wrong."""

import numpy as np
import pytest

from wsisam_server.learning.training.simulated_session import SimulatedSession


@pytest.fixture
def example(examples):
    return examples(1)[0]


def test_half_of_what_is_asked_for_is_asked_by_clicks_inside(example, options):
    random = np.random.default_rng(0)
    chosen = options(box_share=0.5)
    sessions = [SimulatedSession.start(0, example, chosen, random) for _ in range(200)]
    boxes = [session for session in sessions if session.box is not None]
    assert 70 < len(boxes) < 130
    assert not any(session.clicks for session in boxes)
    for session in sessions:
        assert session.label in {example.own, *example.others}
        for x, y, positive in session.clicks:
            assert example.high[int(y), int(x)] == session.label
            assert positive == 1


def test_boxes_only_means_one_round_with_a_box(example, options):
    random = np.random.default_rng(0)
    chosen = options(box_only=True, box_share=0.0)
    for session in (SimulatedSession.start(0, example, chosen, random) for _ in range(20)):
        assert session.box is not None
        assert not session.answered(example.high == session.label, np.ones((256, 256), np.float32), chosen, random)


@pytest.mark.parametrize("positive", [True, False])
def test_the_next_click_lies_in_the_error_and_the_answer_is_fed_back(example, options, positive):
    random = np.random.default_rng(0)
    mask = example.high == example.own
    drawn = np.zeros_like(mask) if positive else np.ones_like(mask)
    logits = np.where(drawn, 4.0, -4.0).astype(np.float32)
    for _ in range(10):
        session = SimulatedSession(0, example.own, 3, [(1.0, 1.0, 1)])
        assert session.answered(mask, logits, options(feedback=1.0), random)
        x, y, label = session.clicks[-1]
        assert label == positive
        assert mask[int(y), int(x)] == positive
        assert (session.prompt(256).mask == logits).all()


def test_a_perfect_answer_ends_a_session(example, options):
    mask = example.high == example.own
    session = SimulatedSession(0, example.own, 5, [(1.0, 1.0, 1)])
    perfect = np.where(mask, 4.0, -4.0).astype(np.float32)
    assert not session.answered(mask, perfect, options(), np.random.default_rng(0))


def test_prompts_are_in_the_models_pixels():
    session = SimulatedSession(0, 1, 1, [(10.5, 20.5, 1)], (0.0, 0.0, 256.0, 128.0))
    prompt = session.prompt(1024)
    assert prompt.points == ((41.5, 81.5),)
    assert prompt.box == (-0.5, -0.5, 1023.5, 511.5)
