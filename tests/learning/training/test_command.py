"""`wsisam train`, from the command line to a model that loads."""

import pytest
from click.testing import CliRunner

from wsisam_model import WsiSam
from wsisam_model.additions import Additions
from wsisam_server.cli import main

TINY = {
    "steps": 2,
    "batch": 1,
    "windows": 1,
    "validation-objects": 1,
    "low-share": 0,
    "device": "cpu",
    "threads": 1,
}


@pytest.fixture
def run(sam_file, tmp_path, monkeypatch):
    def call(*arguments):
        command = ["train", "--sam", sam_file, "--out", tmp_path / "out", "--box-only", *arguments]
        tiny = [f"--{name}={value}" for name, value in TINY.items()]
        return CliRunner().invoke(main, [*map(str, command), *tiny])

    return call


def test_from_a_manifest_to_a_model(run, manifest, sam_file, tmp_path):
    result = run(manifest(), "--train", "tokens")
    assert result.exit_code == 0, result.output
    for line in ("encoding windows: 1 of 1", "step 2 of 2: loss", "step 2: Dice box"):
        assert line in result.output
    out = tmp_path / "out"
    model = WsiSam.from_files(sam_file, additions=out / "best" / "additions.safetensors")
    assert not model.uses_low
    report = (out / "report.md").read_text()
    for part in ("wsisam", "| discs | 1 |", "Worst answers", "pictures/worst_1.png", "| trained | tokens |"):
        assert part in report
    assert (out / "pictures" / "worst_1.png").is_file()
    again = run(manifest("more"), "--train", "tokens")
    assert again.exit_code == 1
    assert "is there already" in again.output


def test_a_run_trains_what_its_start_was_trained_with(run, manifest, tmp_path):
    assert run(manifest(), "--train", "tokens").exit_code == 0
    first = tmp_path / "out" / "best" / "additions.safetensors"
    result = run(manifest("more"), "--from", first, "--out", tmp_path / "again")
    assert result.exit_code == 0, result.output
    assert Additions.read(tmp_path / "again" / "best" / "additions.safetensors", None).trained == {"boxes": "tokens"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("image,label\na.png,b.png\n", "no column 'mask'"),
        ("image,mask,split\na.png,b.png,train\n", "line 2"),
        ("image,mask,split\na.png,b.png,test\n", "no window to train on|no object to validate on"),
    ],
)
def test_bad_manifests_are_named(run, tmp_path, text, problem):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    result = run(path)
    assert result.exit_code == 1
    assert any(part in result.output.replace("\n", " ") for part in problem.split("|")), result.output


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "much"])
def test_weights_are_numbers_above_zero(run, manifest, weight):
    result = run(f"{manifest()}={weight}")
    assert result.exit_code == 2
    assert "the weight must be a number above 0" in result.output


def stopped_after(monkeypatch, steps):
    """Ctrl+C in a step of the training."""
    from wsisam_server.learning.training.trainer import Trainer

    real = Trainer.train_step

    def train_step(self):
        if self.step == steps:
            raise KeyboardInterrupt
        return real(self)

    monkeypatch.setattr(Trainer, "train_step", train_step)


def test_a_run_that_is_stopped_says_what_it_kept_and_goes_on(run, manifest, monkeypatch):
    data = manifest()
    with monkeypatch.context() as patch:
        stopped_after(patch, 0)
        done = run(data, "--train", "tokens")
        assert done.exit_code == 130, done.output
        assert "there is no checkpoint yet" in done.output.replace("\n", " ")
    with monkeypatch.context() as patch:
        stopped_after(patch, 1)
        done = run(data, "--train", "tokens", "--save-every", "1")
        assert done.exit_code == 130, done.output
        assert "the checkpoint of step 1" in done.output
        assert "--resume" in done.output
    done = run(data, "--train", "tokens", "--save-every", "1", "--resume")
    assert done.exit_code == 0, done.output
