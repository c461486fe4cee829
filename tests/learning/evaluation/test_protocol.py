"""The protocol, on a model whose answers are known."""

import itertools

import numpy as np
import pytest
from PIL import Image

from wsisam_server.core.geometry import FieldPair, SlideSize, Window
from wsisam_server.core.prompt import SlidePrompt
from wsisam_server.learning.datasets import DatasetError, ObjectMask, Row
from wsisam_server.learning.evaluation import EvaluationOptions, evaluate, variants_of
from wsisam_server.learning.evaluation.jitter import other_hands
from wsisam_server.learning.evaluation.masks import PixelRegion
from wsisam_server.learning.evaluation.object_sample import sample_objects
from wsisam_server.learning.evaluation.protocol import VIEW_OCTAVES, VIEW_SHIFT, Case, overlap, view
from wsisam_server.segmentation.fields import keeps


@pytest.fixture
def answer_in():
    """An answer that is all of a window."""

    def made(window):
        region = PixelRegion.about((100, 100, 120, 120), window, SlideSize(1000, 1000))
        mask = np.ones((region.y1 - region.y0, region.x1 - region.x0), bool)
        logits = np.ones((256, 256), np.float32)
        return Case("hr", "1", SlidePrompt(), FieldPair(window), logits, region, mask, mask, 1, 1, 1, 1, 1)

    return made


def watched(model, rows, **options):
    """The report, and every case with its row and object."""
    seen = []
    report = evaluate(model, rows, EvaluationOptions(**options), listener=lambda *each: seen.append(each))
    return report, seen


def test_a_model_that_sees_the_object_is_right(model, rows):
    report, _ = watched(model, rows)
    assert report.variants == ("hr", "hr+lr")
    assert len(report.results) == 10
    for result in report.results:
        assert result.dice > 0.97
        assert result.iou > 0.94
        assert result.n == 4
        assert result.ci[0] <= result.dice <= result.ci[1]
    assert (report.images, report.images_without_objects, report.objects_found) == (3, 1, 4)


def test_a_model_that_sees_nothing_is_wrong(model, rows):
    report, _ = watched(model, rows, prompts=("1", "3"), against_sam=True)
    assert report.result("sam", "1").dice == 0
    assert report.result("sam", "3").dice > 0.97
    gain = next(each for each in report.differences if (each.variant, each.against, each.prompt) == ("hr", "sam", "1"))
    assert gain.dice == pytest.approx(report.result("hr", "1").dice)


def test_the_same_seed_gives_the_same_report(model, rows):
    first, second = (evaluate(model, rows, EvaluationOptions(max_objects=3, seed=5)) for _ in range(2))
    assert first == second


def test_an_object_is_seen_alike_whatever_else_is_drawn(model, rows):
    def fields(limit):
        _, seen = watched(model, rows, prompts=("1",), max_objects=limit)
        return {(row.line, item.label): case.field for row, _, item, case in seen}

    few, many = fields(2), fields(None)
    assert len(few) == 2
    assert few.items() <= many.items()


def test_a_larger_draw_holds_the_smaller_one(rows):
    def drawn(limit, seed=0):
        found = sample_objects(rows, max_objects=limit, seed=seed, connected_parts=False)
        return {(row.line, item.label) for row, items in found.drawn for item in items}

    assert len(drawn(1)) == 1
    assert drawn(1) < drawn(2) < drawn(3) < drawn(None)
    assert drawn(99) == drawn(None)
    assert len({frozenset(drawn(2, seed)) for seed in range(10)}) > 1


def test_the_first_click_is_the_middle_and_the_box_is_the_objects(model, rows):
    _, seen = watched(model, rows, prompts=("box", "1"))
    for _, sample, item, case in seen:
        if case.name == "box":
            box = case.prompt.box
            assert (box.x0, box.y0, box.x1, box.y1) == item.box
            continue
        (point,) = case.prompt.points
        assert point.positive
        assert point.position.x == pytest.approx((item.box[0] + item.box[2]) / 2, abs=1)
        assert sample.labels[int(point.position.y), int(point.position.x)] == item.label


def test_clicks_go_on_until_nothing_is_wrong_then_the_answer_stands(model, rows):
    _, seen = watched(model, rows, prompts=tuple(map(str, range(1, 13))))
    for _, one in itertools.groupby(seen, key=lambda each: (each[0].line, each[2].label, each[3].variant)):
        counts = [len(each[3].prompt.points) for each in one]
        assert counts[0] == 1
        assert all(step in (0, 1) for step in np.diff(counts))


def test_the_next_click_lies_in_the_largest_error(model, rows):
    _, seen = watched(model, rows, prompts=("1", "2"), against_sam=True)
    for first, second in itertools.pairwise(case for *_, case in seen if case.variant == "sam"):
        if (first.name, second.name) == ("1", "2"):
            # All of the object is missing: the second click is a first one again.
            assert second.prompt.points == (first.prompt.points[0],) * 2


@pytest.mark.parametrize("feedback", [True, False])
def test_logits_are_fed_back_in_the_same_field_only(model, rows, feedback):
    variants_of(model, against_sam=True)
    model.seen.clear()
    _, seen = watched(model, rows, prompts=("1", "2", "3", "4", "5"), against_sam=True, feedback=feedback)
    prompts = iter(model.seen[4:])  # the first four ask which variants there are
    before = None
    fed = 0
    for *_, case in seen:
        if before is not None and case.prompt is before.prompt:
            continue
        variant, prompt = next(prompts)
        assert variant == case.variant
        same = before is not None and case.name != "1" and case.field == before.field
        assert (prompt.mask is not None) == (feedback and same)
        if prompt.mask is not None:
            assert (prompt.mask == before.logits).all()
            fed += 1
        before = case
    assert next(prompts, None) is None
    assert (fed > 0) == feedback


def test_a_crude_outline_and_a_click_on_what_is_wrong_with_its_answer(model, rows):
    report, seen = watched(model, rows, prompts=("shape", "shape+1"), against_sam=True)
    assert report.result("hr", "shape").n == 4
    cases = [case for *_, case in seen if case.variant == "hr"]
    for alone, corrected in zip(cases[::2], cases[1::2], strict=True):
        assert (alone.name, corrected.name) == ("shape", "shape+1")
        assert alone.prompt.box is None
        assert not alone.prompt.points
        assert corrected.prompt.shape == alone.prompt.shape
    crude = [case.prompt.shape for case in cases[::2]]
    assert all(shape.area > 0 for shape in crude)
    assert report == watched(model, rows, prompts=("shape", "shape+1"), against_sam=True)[0]


def dumbbell(folder):
    """A large and a small disk joined by a bar: the first click lies far from the small one."""
    down, across = np.mgrid[0:200, 0:900]
    mask = ((across - 400) ** 2 + (down - 90) ** 2 <= 30**2) | ((across - 600) ** 2 + (down - 110) ** 2 <= 22**2)
    mask[97:103, 400:600] = True
    Image.fromarray(mask.astype(np.uint8)).save(folder / "mask.png")
    Image.fromarray(np.where(mask[..., None], (90, 40, 120), (235, 225, 235)).astype(np.uint8)).save(folder / "a.png")
    return [Row(2, folder / "a.png", folder / "mask.png")]


def test_the_field_is_kept_while_the_clicks_stay_clear_of_its_edges(model, tmp_path):
    seen = []
    for seed in range(8):
        seen += watched(model, dumbbell(tmp_path), prompts=("1", "2", "3", "4"), seed=seed, context=1)[1]
    moved = kept = 0
    for before, after in itertools.pairwise(case for *_, case in seen):
        if after.name == "1" or after.prompt is before.prompt:
            continue
        clear = keeps(before.field, after.prompt, SlideSize(900, 200))
        assert not clear or after.field == before.field
        kept += clear
        moved += before.field != after.field
    assert moved > 0
    assert kept > 0


def test_a_field_is_encoded_once_for_all_prompts_and_variants(model, rows):
    _, seen = watched(model, rows, prompts=("box", "1", "2"), against_sam=True)
    high = {(row.line, item.label, case.field.high) for row, _, item, case in seen}
    low = {(row.line, item.label, case.field.low) for row, _, item, case in seen if case.variant == "hr+lr"}
    assert model.encoded == len(high | low) + 1  # and the test card


def test_which_variants_there_are(model):
    assert variants_of(model, against_sam=True) == ("sam", "hr", "hr+lr")
    model.wants_low = False
    assert variants_of(model, against_sam=True) == ("sam", "hr")
    assert variants_of(model, against_sam=False) == ("hr",)
    model.trained = False
    assert variants_of(model, against_sam=False) == ("sam",)


def test_the_view_is_about_the_object():
    item = ObjectMask(1, (100, 200, 140, 220), 500)
    views = [view(item, 2.0, np.random.default_rng(seed)) for seed in range(200)]
    sides = np.array([each.region.width for each in views])
    assert all(each.region.width == pytest.approx(each.region.height) for each in views)
    assert 80 * 2**-VIEW_OCTAVES <= sides.min() < 70
    assert 90 < sides.max() <= 80 * 2**VIEW_OCTAVES
    lefts = np.array([(each.region.x0, each.region.y0) for each in views])
    offsets = (lefts + sides[:, None] / 2 - (120, 210)) / sides[:, None]
    assert np.abs(offsets).max() <= VIEW_SHIFT


def test_a_damaged_row_ends_it_before_it_begins(model, rows, tmp_path):
    bad = Row(9, rows[0].image, tmp_path / "none.png")
    with pytest.raises(DatasetError, match="line 9"):
        evaluate(model, [*rows, bad], EvaluationOptions())
    assert model.encoded == 0


def test_no_objects_at_all(model, rows):
    with pytest.raises(DatasetError, match="no object in any of the 1 masks"):
        evaluate(model, rows[2:], EvaluationOptions())


def test_progress_counts_objects(model, rows):
    steps = []
    evaluate(model, rows, EvaluationOptions(prompts=("box",)), progress=lambda *step: steps.append(step))
    assert steps == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_masks_are_finished_as_the_server_does_if_wanted(model, tmp_path):
    """The model outlines both disks for a click on one. The server leaves out the part that was not clicked."""
    down, across = np.mgrid[0:200, 0:300]
    labels = np.zeros((200, 300), np.uint8)
    for label, column in ((1, 100), (2, 160)):
        labels[(across - column) ** 2 + (down - 100) ** 2 <= 25**2] = label
    Image.fromarray(labels).save(tmp_path / "mask.png")
    Image.fromarray(np.where(labels[..., None] > 0, (90, 40, 120), (235, 225, 235)).astype(np.uint8)).save(
        tmp_path / "a.png"
    )
    rows = [Row(2, tmp_path / "a.png", tmp_path / "mask.png")]
    alone, _ = watched(model, rows, prompts=("1", "box"), context=4.0)
    finished, _ = watched(model, rows, prompts=("1", "box"), context=4.0, finish=True)
    assert alone.result("hr", "1").dice < 0.75
    assert finished.result("hr", "1").dice > 0.97
    assert finished.to_json()["finish"] is True


@pytest.mark.parametrize("ranked", [False, True])
def test_the_best_candidate_is_the_one_nearest_to_the_object_and_the_chosen_one_the_servers(model, rows, ranked):
    model.certain, model.ranks_candidates = False, ranked
    report, seen = watched(model, rows, prompts=("chosen", "best", "1"))
    assert report.result("hr", "best").dice > 0.97
    assert report.result("hr", "1").dice < 0.2  # what is drawn about the click, so that it is honoured
    scores = {case.score for *_, case in seen if case.name == "chosen"}
    assert scores == ({0.95} if ranked else {0.9})  # without ranks the model's own answer
    assert all(len(case.prompt.points) == 1 for *_, case in seen)
    assert len([prompt for variant, prompt in model.seen if variant == "hr" and prompt.points]) == 4, "one decode each"


def test_a_box_is_corrected_by_one_click_in_its_field(model, rows):
    report, seen = watched(model, rows, prompts=("box", "box+1"))
    for (*_, box), (*_, corrected) in zip(seen[::2], seen[1::2], strict=True):
        assert corrected.prompt.box == box.prompt.box
        assert len(corrected.prompt.points) in (0, 1)  # none where the box has left nothing wrong
        assert corrected.field == box.field
    assert {each["prompt"]: each.get("worse") for each in report.answers} == {"box": None, "box+1": 0.0}


def test_other_hands_ask_for_the_same_object(model, rows):
    report, seen = watched(model, rows, prompts=("box", "1", "2"), jitter=3)
    for row, sample, item, case in seen:
        others = other_hands(sample, item, 3, np.random.default_rng((0, row.line, item.label, 2)))
        assert len(others.boxes) == len(others.clicks) == 3
        for (point,) in (prompt.points for prompt in others.clicks):
            assert sample.labels[int(point.position.y), int(point.position.x)] == item.label
        assert (case.agreement is None) == (case.name == "2")
    # The model outlines the object wherever it is touched.
    assert {each["prompt"]: each["agreement"] for each in report.answers} == {
        "box": pytest.approx(1, abs=0.06),
        "1": pytest.approx(1, abs=0.06),
        "2": None,
    }


def test_answers_in_two_fields_overlap_where_they_show_the_same(answer_in):
    same, shifted = answer_in(Window(0, 0, 1.0, 256)), answer_in(Window(64, 0, 1.0, 256))
    assert overlap(same, same) == 1
    # Each draws all of its window: 192 of 320 columns are in both.
    assert overlap(same, shifted) == pytest.approx(192 / 320)
