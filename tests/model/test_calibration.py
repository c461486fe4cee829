"""Scores: what is known of an answer becomes the overlap that such answers had."""

import json

import numpy as np
import pytest
import safetensors
import safetensors.torch

from wsisam_model import CheckpointError, Prompt, WsiSam, registry
from wsisam_model.additions import Additions, pack
from wsisam_model.calibration import ScoreCurve, fit, from_json, kind_of, stability, to_json

CURVE = ScoreCurve(0.5, ((0.2, 0.1), (0.6, 0.5), (0.9, 0.95)))


@pytest.mark.parametrize(
    ("estimate", "stable", "score"), [(0.0, 0.0, 0.1), (0.6, 0.6, 0.5), (0.5, 0.3, 0.3), (2.0, 1.0, 0.95)]
)
def test_a_score_is_read_off_the_curve(estimate, stable, score):
    assert CURVE.score(estimate, stable) == pytest.approx(score)


def test_a_mask_is_stable_where_its_border_is_steep():
    steep = np.where(np.arange(100) < 40, 9.0, -9.0).astype(np.float32)[None]
    assert stability(steep) == 1
    slack = np.linspace(-3, 3, 61, dtype=np.float32)[None]  # 20 above 1, 40 above -1
    assert stability(slack) == pytest.approx(20 / 41, abs=0.03)
    assert stability(np.full((4, 4), -5, np.float32)) == 0


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        (Prompt(box=(1, 2, 30, 40)), "box"),
        (Prompt(points=[(5, 5)], labels=[1]), "click"),
        (Prompt(points=[(5, 5), (9, 9)], labels=[1, 0]), "clicks"),
        (Prompt(points=[(5, 5)], labels=[1], box=(1, 2, 30, 40)), "clicks"),
    ],
)
def test_kinds_of_answers(prompt, kind):
    assert kind_of(prompt) == kind


def test_the_more_telling_of_the_two_counts():
    random = np.random.default_rng(0)
    overlaps = random.uniform(0.2, 1, 400)
    blind, telling = random.uniform(0.8, 1, 400), np.clip(overlaps + random.normal(0, 0.05, 400), 0, 1)
    assert fit(blind, telling, overlaps).share == 0
    assert fit(telling, blind, overlaps).share == 1


def test_a_fitted_curve_rises_and_is_right_on_the_mean():
    random = np.random.default_rng(1)
    estimates = random.uniform(0, 1, 500)
    overlaps = np.clip(estimates**2 + random.normal(0, 0.1, 500), 0, 1)  # the decoder is too sure of itself
    curve = fit(estimates, estimates, overlaps)
    scores = np.array([curve.score(each, each) for each in estimates])
    assert abs((scores - overlaps).mean()) < 0.02
    for low, high in ((0, 0.3), (0.3, 0.6), (0.6, 1.01)):
        chosen = (scores >= low) & (scores < high)
        assert abs((scores - overlaps)[chosen].mean()) < 0.04
    order = np.argsort(estimates)
    assert (np.diff(scores[order]) >= 0).all()


def test_answers_that_say_nothing_make_a_level_curve():
    overlaps = [0.3, 0.9] * 20
    curve = fit([0.5] * 40, [0.5] * 40, overlaps)
    assert curve.score(0, 0) == curve.score(1, 1) == pytest.approx(0.6)
    with pytest.raises(ValueError, match="10 measured answers"):
        fit([0.5] * 9, [0.5] * 9, [0.5] * 9)


@pytest.mark.parametrize(
    "said",
    [
        [],
        {"box": {}},
        {"box": {"share": 2, "knots": [[0, 0], [1, 1]]}},
        {"box": {"share": 1, "knots": []}},
        {"box": {"share": 1, "knots": [[0, 0], [0, 1]]}},
        {"box": {"share": 1, "knots": [[0, 0.5], [1, 0.4]]}},
        {"box": {"share": 1, "knots": [[0, 0], [1, 1.1]]}},
        {"box": {"share": 1, "knots": [[0, float("nan")]]}},
        {"circle": {"share": 1, "knots": [[0, 0], [1, 1]]}},
    ],
)
def test_what_is_no_calibration_is_refused(said):
    with pytest.raises(ValueError, match="calibration"):
        from_json(said)


def test_a_calibration_comes_back_as_it_was():
    assert from_json(json.loads(json.dumps(to_json({"box": CURVE, "click": CURVE})))) == {"box": CURVE, "click": CURVE}


@pytest.fixture(scope="module")
def additions():
    """The default model without what is calibrated in it, and its additions, opened."""
    path = registry.resolve("wsisam-lite")[1].additions
    with safetensors.safe_open(path, framework="pt") as file:
        base = json.loads(file.metadata()["wsisam_additions"])["base"]
    model = WsiSam.from_name("wsisam-lite")
    model.calibration = {}
    return model, Additions.read(path, base)


def test_scores_follow_the_calibration_of_the_weights_and_masks_do_not(additions, tmp_path):
    model, shipped = additions
    path = tmp_path / "calibrated.safetensors"
    low = ScoreCurve(1.0, ((0.0, 0.11), (1.0, 0.11)))
    file = pack(
        shipped.base,
        shipped.trained,
        shipped.checkpoint.tensors,
        shipped.settings,
        {"box": low},
        last_stage=shipped.last_stage,
    )
    path.write_bytes(file)
    calibrated = WsiSam.from_name("wsisam-lite", additions=path)
    assert calibrated.weights_hash == model.weights_hash
    image = np.random.default_rng(0).integers(0, 255, (256, 256, 3)).astype(np.uint8)
    for prompt, score in ((Prompt(box=(60, 60, 190, 190)), 0.11), (Prompt(points=[(128, 128)], labels=[1]), None)):
        before, after = (each.decode(each.encode(image), None, prompt) for each in (model, calibrated))
        np.testing.assert_array_equal(before.logits, after.logits)
        assert before.iou == after.iou
        assert after.score == (after.iou if score is None else pytest.approx(score))


def test_a_damaged_calibration_is_refused_by_name(additions, tmp_path):
    _, shipped = additions
    path = tmp_path / "damaged.safetensors"
    content = safetensors.torch.load(
        pack(shipped.base, shipped.trained, shipped.checkpoint.tensors, shipped.settings, {"box": CURVE})
    )
    metadata = {
        "format": 1,
        "base": shipped.base,
        "trained": dict(shipped.trained),
        "settings": {},
        "scores": {"box": 3},
    }
    path.write_bytes(safetensors.torch.save(content, {"wsisam_additions": json.dumps(metadata)}))
    with pytest.raises(CheckpointError, match="no calibration"):
        WsiSam.from_name("wsisam-lite", additions=path)
