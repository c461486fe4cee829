"""`wsisam calibrate`: which answers it judges, and what it writes."""

import json

import pytest
import safetensors
from click.testing import CliRunner

from wsisam_model import registry
from wsisam_model.additions import Additions
from wsisam_model.calibration import ScoreCurve
from wsisam_server.cli import calibrate as command
from wsisam_server.cli import main
from wsisam_server.learning.evaluation import Judged, fitted, judged, ranking_helps


def test_boxes_and_clicks_are_judged_with_what_the_decoder_says(model, rows):
    answers = list(judged(model, rows, max_objects=None, seed=0))
    kinds = [answer.kind for answer in answers]
    assert (kinds.count("box"), kinds.count("click")) == (4, 4)
    own = [answer for answer in answers if answer.kind != "candidate"]
    assert {answer.estimate for answer in own} == {0.9}
    assert all(answer.stability == 1 for answer in own)
    assert all(answer.overlap > 0.94 for answer in own)


def test_an_answer_that_stands_for_later_clicks_counts_once(model, rows):
    kinds = [answer.kind for answer in judged(model, rows, max_objects=None, seed=0)]
    assert "clicks" not in kinds  # the first click's answer is right, and nothing is left to click on
    model.certain = False
    kinds = [answer.kind for answer in judged(model, rows, max_objects=None, seed=0)]
    assert kinds.count("clicks") > 4


def test_candidates_are_judged_too(model, rows):
    candidates = [one for one in judged(model, rows, max_objects=2, seed=0) if one.kind == "candidate"]
    assert [one.estimate for one in candidates] == pytest.approx([0.2, 0.95, 0.5] * 2)
    assert [one.overlap > 0.9 for one in candidates] == [True, False, False] * 2
    assert candidates[1].overlap == 0


def test_a_first_click_is_decoded_once(model, rows):
    model.certain = False
    kinds = [one.kind for one in judged(model, rows, max_objects=None, seed=0)]
    first = [prompt for _, prompt in model.seen if len(prompt.points) == 1 and prompt.mask is None]
    assert len(first) == kinds.count("click") == 4
    assert kinds.count("candidate") == 3 * kinds.count("click")


def test_each_kind_has_a_curve_of_its_own():
    answers = [Judged("box", 0.9, 0.9, 0.4)] * 10 + [Judged("click", 0.9, 0.9, 0.8)] * 10
    curves = fitted(answers)
    assert set(curves) == {"box", "click"}
    assert (curves["box"].score(0.9, 0.9), curves["click"].score(0.9, 0.9)) == pytest.approx((0.4, 0.8))


@pytest.mark.parametrize(("better", "helps"), [(0.9, True), (0.3, False), (0.5, False)])
def test_scores_rank_candidates_only_where_that_was_measured_to_help(better, helps):
    answers = [Judged("click", 0.5, 0.5, 0.5), Judged("candidate", 0.9, 0.9, better)] * 12
    curves = fitted(answers) | {"candidate": ScoreCurve(1.0, ((0.9, 0.95),))}  # it thinks much of the candidates
    assert ranking_helps(answers, curves, 0) is helps


@pytest.fixture
def run(rows, tmp_path, monkeypatch, model):
    """Runs the command with the fake model on the default model's own additions."""
    manifest = tmp_path / "manifest.csv"
    lines = [f"{row.image.name},{row.mask.name},val" for row in rows]
    manifest.write_text("\n".join(["image,mask,split", *lines]) + "\n", encoding="utf-8")
    monkeypatch.setattr(command, "load_model", lambda **_: model)
    monkeypatch.setattr("wsisam_model.calibration._MIN_PER_KNOT", 4)

    def invoke(*words):
        return CliRunner().invoke(main, ["calibrate", str(manifest), *words])

    return invoke


def test_the_additions_are_written_again_with_curves_and_the_same_weights(run, tmp_path):
    done = run("--out", str(tmp_path / "new.safetensors"))
    assert done.exit_code == 0, done.output
    before, after = (
        Additions.read(path, None)
        for path in (registry.resolve("wsisam-lite")[1].additions, tmp_path / "new.safetensors")
    )
    assert {"box", "click", "candidate"} <= set(after.calibration)
    assert not after.ranked  # the model's own answers are right
    assert after.calibration["box"].score(0.9, 1.0) == pytest.approx(1, abs=0.06)
    assert (after.base, after.trained, after.settings) == (before.base, before.trained, before.settings)
    assert before.checkpoint.tensors.keys() == after.checkpoint.tensors.keys()
    assert all(
        before.checkpoint.tensors[name].equal(after.checkpoint.tensors[name]) for name in after.checkpoint.tensors
    )
    with safetensors.safe_open(tmp_path / "new.safetensors", framework="pt") as file:
        assert set(json.loads(file.metadata()["wsisam_additions"])["scores"]) == set(after.calibration)


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("--out", "/nowhere/new.safetensors"), 2, "Make it first"),
        (("--out", "new.safetensors", "--model", "sam-vit-b"), 2, "--additions"),
        (("--out", "new.safetensors", "--sam", "sam.pth"), 2, "--additions"),
        (("--out", "new.safetensors", "--split", "test"), 1, "splits in it: val"),
        (("--out", "new.safetensors", "--max-objects", "1"), 1, "Give more objects"),
    ],
)
def test_errors(run, tmp_path, monkeypatch, words, status, says):
    monkeypatch.chdir(tmp_path)
    done = run(*words)
    assert done.exit_code == status, done.output
    assert says in done.output.replace("\n", " ")
    assert not (tmp_path / "new.safetensors").exists()
