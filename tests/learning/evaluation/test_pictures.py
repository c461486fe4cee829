"""The plot and the worst cases are written, and show what they should."""

import numpy as np
import pytest
from PIL import Image

from wsisam_server.learning.evaluation import EvaluationOptions, WorstCases, evaluate, picture, plot
from wsisam_server.learning.evaluation.pictures import SIDE, TRUTH


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_plot(model, rows, tmp_path, ending):
    path = tmp_path / f"plot{ending}"
    plot(evaluate(model, rows, EvaluationOptions(against_sam=True)), path)
    assert path.stat().st_size > 5000


def test_the_worst_are_kept_in_order(model, rows, tmp_path):
    worst = WorstCases(2)
    scores = []

    def observe(row, sample, item, case):
        scores.append(case.dice)
        worst(row, sample, item, case)

    evaluate(model, rows, EvaluationOptions(prompts=("box",)), listener=observe)
    paths = worst.write(tmp_path / "new" / "worst")
    assert [path.name.split("_")[:3] for path in paths] == [
        [variant, "box", rank] for variant in ("hr", "hr+lr") for rank in ("01", "02")
    ]
    kept = [float(path.name.split("dice")[1][:5]) for path in paths[:2]]
    assert kept == pytest.approx(sorted(scores[::2])[:2], abs=1e-3)
    with Image.open(paths[0]) as image:
        assert max(image.size) == SIDE


def test_pictures_of_an_earlier_run_go_and_other_files_stay(model, rows, tmp_path):
    first, second = WorstCases(2), WorstCases(1)
    evaluate(model, rows, EvaluationOptions(prompts=("box", "1"), against_sam=True), listener=first)
    evaluate(model, rows, EvaluationOptions(prompts=("box",)), listener=second)
    folder = tmp_path / "worst"
    first.write(folder)
    mine = folder / "mine.png"
    mine.write_bytes(b"")
    paths = second.write(folder)
    assert set(folder.iterdir()) == {*paths, mine}


def test_edges_clicks_and_box_are_drawn(model, rows):
    drawn = {}

    def observe(row, sample, item, case):
        drawn.setdefault(case.name, np.asarray(picture(sample, case)).reshape(-1, 3))

    evaluate(model, rows, EvaluationOptions(prompts=("box", "1"), against_sam=True), listener=observe)
    assert (drawn["1"] == TRUTH).all(axis=1).any()
    assert (drawn["1"] == (0, 255, 102)).all(axis=1).any()
    assert (drawn["box"] == (255, 212, 0)).all(axis=1).any()
