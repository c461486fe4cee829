"""The numbers about working with a model, on answers whose numbers are known by hand."""

import numpy as np
import pytest

from wsisam_server.core.geometry import FieldPair, Point, Window
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.learning.evaluation import EvaluationOptions, Journal, JournalError, evaluate
from wsisam_server.learning.evaluation.interaction import (
    auroc,
    calibration_error,
    clicks_needed,
    interaction,
    shape_and_score,
    worsened,
)
from wsisam_server.learning.evaluation.masks import PixelRegion
from wsisam_server.learning.evaluation.measures import Measured, measure
from wsisam_server.learning.evaluation.protocol import Case


def measured(prompt="1", dice=0.9, iou=0.8, score=0.8, **changes):
    plain = {"parts": 1, "holes": 0, "largest": 1.0, "positives": 1, "positives_honoured": 1}
    return Measured(prompt, dice, iou, score, **(plain | {"negatives": 0, "negatives_honoured": 0} | changes))


def trail(*ious):
    return {count: measured(str(count), dice=iou, iou=iou) for count, iou in enumerate(ious, 1)}


def case(answer, *clicks):
    """An answer over a window of 256 px, a pixel a mask cell. Clicks are (x, y, positive)."""
    points = tuple(PromptPoint(Point(x, y), positive=positive) for x, y, positive in clicks)
    return Case(
        variant="hr",
        name=str(len(clicks)),
        prompt=SlidePrompt(points),
        field=FieldPair(Window(0, 0, 1.0, 256)),
        logits=np.where(answer, 3.0, -3.0).astype(np.float32),
        region=PixelRegion(0, 0, 256, 256),
        truth=answer,
        answer=answer,
        dice=1.0,
        iou=1.0,
        score=0.7,
        estimate=0.7,
        stability=1.0,
    )


@pytest.fixture
def answer():
    """A square with a hole, and a smaller square."""
    answer = np.zeros((256, 256), bool)
    answer[50:110, 50:110] = True
    answer[70:80, 70:80] = False
    answer[200:220, 200:220] = True
    return answer


def test_parts_holes_and_the_largest_part(answer):
    found = measure(case(answer, (60, 60, True)))
    assert (found.parts, found.holes, found.score) == (2, 1, 0.7)
    assert found.largest == pytest.approx(3500 / 3900)
    answer[30, 30:33] = answer[230, 230:234] = True
    answer[100, 100:103] = False
    dusty = measure(case(answer, (60, 60, True)))
    assert (dusty.parts, dusty.holes) == (3, 1)  # of four cells and more
    nothing = measure(case(np.zeros((256, 256), bool), (60, 60, True)))
    assert (nothing.parts, nothing.holes, nothing.largest) == (0, 0, 1.0)
    assert measure(case(np.ones((256, 256), bool), (60, 60, True))).holes == 0


@pytest.mark.parametrize(
    ("click", "good"),
    [
        ((60, 60, True), True),
        ((50.4, 80, True), False),  # inside, but nearer to the edge than a cell
        ((52.1, 95, True), True),
        ((75, 75, True), False),
        ((75, 75, False), True),
        ((49, 80, False), True),
        ((55, 80, False), False),
    ],
)
def test_a_click_is_honoured_where_the_answer_says_so_with_a_margin(answer, click, good):
    found = measure(case(answer, click))
    assert found.positives_honoured + found.negatives_honoured == good
    assert (found.positives, found.negatives) == (int(click[2]), int(not click[2]))


def test_the_number_of_clicks():
    objects = [trail(0.5, 0.86, 0.84, 0.91), trail(*[0.7] * 20)]
    assert clicks_needed(objects[0], 0.85) == 2
    assert clicks_needed(objects[0], 0.9) == 4
    assert clicks_needed(objects[1], 0.85) is None
    found = interaction(objects, [1, 4], noc=True)
    assert (found["noc85"], found["failed85"], found["noc90"], found["failed90"]) == (11, 0.5, 12, 0.5)
    assert "noc85" not in interaction(objects, [1, 4], noc=False)


def test_steps_that_made_it_worse_and_clicks_that_held():
    objects = [trail(0.5, 0.9, 0.8), trail(0.5, 0.46, 0.6)]
    objects[0][3] = measured("3", 0.8, 0.8, positives=2, positives_honoured=1, negatives=1, negatives_honoured=0)
    objects[1][3] = measured("3", 0.6, 0.6, positives=3, positives_honoured=3)
    found = interaction(objects, [1, 3], noc=False)
    assert (found["steps"], found["worse"]) == (4, 0.25)
    assert found["honoured"]["3"] == {"positive": 4 / 5, "negative": 0.0}
    assert found["honoured"]["1"] == {"positive": 1.0, "negative": None}


def test_calibration_and_ranking():
    scores, ious = np.array([0.95, 0.95, 0.55, 0.51]), np.array([0.95, 0.75, 0.55, 0.31])
    assert calibration_error(scores, ious) == pytest.approx((0.2 + 0.2) / 4)
    assert calibration_error(np.array([1.0, 1.02]), np.array([1.0, 1.02])) == pytest.approx(0)
    assert auroc(scores, ious >= 0.7) == 1.0
    assert auroc(np.array([0.5, 0.5]), np.array([True, False])) == 0.5
    assert auroc(scores, np.ones(4, bool)) is None
    found = shape_and_score([measured(parts=2, largest=0.6), measured(holes=1)])
    assert (found["several_parts"], found["holes"], found["fragments"]) == (0.5, 0.5, 0.5)
    assert (found["auroc"], found["correlation"], found["ece"]) == (None, None, 0)


def test_a_right_model_needs_one_click_and_stops_there(model, rows):
    report = evaluate(model, rows, EvaluationOptions(prompts=("1", "3"), noc=True))
    for found in report.interaction:
        assert (found["noc85"], found["failed90"], found["n"]) == (1, 0, 4)
        assert found["honoured"]["3"]["positive"] == 1
    assert [(each["variant"], each["prompt"]) for each in report.answers] == [
        (variant, prompt) for variant in ("hr", "hr+lr") for prompt in ("1", "3")
    ]
    assert all(each["several_parts"] == 0 for each in report.answers)


def test_the_number_of_clicks_goes_on_to_twenty(model, rows):
    model.decode = lambda high, _, prompt: model.decode_sam(np.full_like(high, -1.0), prompt)
    model.wants_low = False
    report = evaluate(model, rows[:1], EvaluationOptions(prompts=("1",), noc=True))
    (found,) = report.interaction
    assert (found["noc85"], found["failed85"], found["steps"]) == (20, 1, 2 * 19)


class Stopped(BaseException):
    pass


def test_a_journal_goes_on_where_it_was_stopped(model, rows, tmp_path):
    path, options = tmp_path / "journal.jsonl", EvaluationOptions(prompts=("box", "1", "3"), noc=True)
    whole = evaluate(model, rows, options)

    def stop(done, _):
        if done == 2:
            raise Stopped

    with pytest.raises(Stopped):
        evaluate(model, rows, options, progress=stop, journal=Journal(path, {"weights": "a"}))
    with path.open("a") as file:
        file.write('{"object": "3/1", "answ')  # as a kill leaves it
    model.seen.clear()
    seen = []
    journal = Journal(path, {"weights": "a"})
    report = evaluate(model, rows, options, listener=lambda *each: seen.append(each), journal=journal)
    assert report == whole
    assert {(row.line, item.label) for row, _, item, _ in seen} == {(3, 1), (3, 2)}
    model.seen.clear()
    assert evaluate(model, rows, options, journal=Journal(path, {"weights": "a"})) == whole
    assert len(model.seen) == 4  # those that tell the variants


def test_a_journal_of_something_else_is_refused(tmp_path):
    path = tmp_path / "journal.jsonl"
    Journal(path, {"weights": "a"})
    with pytest.raises(JournalError, match="other weights, data or conditions"):
        Journal(path, {"weights": "b"})
    path.write_text("my notes")
    with pytest.raises(JournalError, match="is no journal"):
        Journal(path, {"weights": "a"})
    assert path.read_text() == "my notes"


def test_a_click_worsens_an_answer_that_loses_more_than_a_twentieth():
    before = [measured("box", dice=value) for value in (0.9, 0.9, 0.9, 0.9)]
    after = [measured("box+1", dice=value) for value in (0.95, 0.86, 0.84, 0.2)]
    assert worsened(before, after) == 0.5


def test_agreement_is_the_mean_over_answers_that_others_gave_too():
    found = shape_and_score([measured(agreement=0.8), measured(agreement=0.6), measured()])
    assert found["agreement"] == pytest.approx(0.7)
    assert shape_and_score([measured()])["agreement"] is None
