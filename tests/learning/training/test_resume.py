"""A run that was killed goes on to the same numbers."""

import pytest
import torch

from wsisam_server.learning.training import Run, Source, TrainingError
from wsisam_server.learning.training.listeners import SilentTrainingListener


class Killed(BaseException):
    """As a kill: nothing in the program catches it."""


class KillAfter(SilentTrainingListener):
    def __init__(self, step):
        self.step = step

    def stepped(self, step, steps, loss):
        if step == self.step:
            raise Killed


@pytest.fixture
def run(base, encode, manifest, options, tmp_path, monkeypatch):
    monkeypatch.setattr("wsisam_server.learning.training.run.frozen_encoder", lambda *_, **__: encode)
    path = manifest()

    def make(name, listener=None, **changes):
        # batch 2 and several rounds: sessions are under way when the checkpoint is written
        chosen = options(
            **{"steps": 3, "batch": 2, "save_every": 1, "validate_every": 3, "additions_from": 0.5} | changes
        )
        device = torch.device("cpu")
        return Run(
            base, [Source(path)], chosen, tmp_path / name, device=device, listener=listener or SilentTrainingListener()
        )

    return make


def test_a_killed_run_goes_on_to_the_same_numbers(run):
    whole = run("whole").run()
    with pytest.raises(Killed):
        run("killed", KillAfter(2)).run()
    resumed = run("killed").run(resume=True)
    assert resumed.history == whole.history
    assert len(resumed.history.losses) == 3
    assert resumed.additions.read_bytes() == whole.additions.read_bytes()


def test_resume_refuses_what_is_not_its_checkpoint(run, tmp_path):
    with pytest.raises(TrainingError, match="no checkpoint at"):
        run("empty").run(resume=True)
    with pytest.raises(Killed):
        run("other", KillAfter(2), box_only=True).run()
    with pytest.raises(TrainingError, match="other settings or data"):
        run("other", seed=7, box_only=True).run(resume=True)
    with pytest.raises(TrainingError, match="there already"):
        run("other", box_only=True).run()
    (tmp_path / "other" / "last.pt").write_bytes(b"torn")
    with pytest.raises(TrainingError, match="is no checkpoint"):
        run("other", box_only=True).run(resume=True)


def test_patience_ends_a_run_that_does_not_improve(run):
    # at a rate of zero every validation is as the first
    still = {"rate": 0.0, "new_rate": 0.0, "box_only": True, "batch": 1}
    outcome = run("patient", validate_every=1, patience=2, **still).run()
    assert [each.step for each in outcome.history.validations] == [1, 2, 3]
    assert outcome.history.best.step == 1


def test_runs_of_one_draw_seed_share_their_data(run, tmp_path):
    drawn = {}
    for name, seed, draw_seed in (("first", 0, 5), ("second", 1, 5), ("other", 0, None)):
        run(name, seed=seed, draw_seed=draw_seed, box_only=True, steps=1, batch=1).run()
        drawn[name] = {path.name for path in (tmp_path / name / "features").iterdir()}
    assert drawn["first"] == drawn["second"] != drawn["other"]
