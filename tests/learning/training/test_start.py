"""A run that goes on from an additions file begins with its weights, and hands them back if it only makes them worse."""

import pytest
import torch

from wsisam_model import ModelSettings
from wsisam_model.additions import Additions, pack
from wsisam_model.loading import load
from wsisam_server.learning.training import Run, Source, TrainingError
from wsisam_server.learning.training.export import export
from wsisam_server.learning.training.listeners import SilentTrainingListener
from wsisam_server.learning.training.network import Network
from wsisam_server.learning.training.start import blended, start_tensors


@pytest.fixture(scope="module")
def start(base, tmp_path_factory):
    """Additions of both routes, moved off the base by chance."""
    path, kept = tmp_path_factory.mktemp("start") / "start.safetensors", None
    torch.manual_seed(3)
    for route, trained in (("boxes", "tokens"), ("clicks", "decoder")):
        network = Network(base, trained)
        with torch.no_grad():
            for value in network.trained_parameters().values():
                value.add_(torch.randn_like(value) * 0.01)
        settings = ModelSettings(mask_feedback=True, low_middle=True)
        tensors = network.trained_parameters()
        export(path, route, trained, tensors, base=base.weights_hash, settings=settings, beside=kept)
        kept = Additions.read(path, base=base.weights_hash)
    return kept


@pytest.fixture
def run(base, encode, manifest, options, tmp_path, monkeypatch, start):
    monkeypatch.setattr("wsisam_server.learning.training.run.frozen_encoder", lambda *_, **__: encode)
    path = manifest()

    def make(**changes):
        chosen = options(**{"steps": 1, "box_share": 0.0} | changes)
        device = torch.device("cpu")
        folder = tmp_path / "out"
        return Run(base, [Source(path)], chosen, folder, device=device, listener=SilentTrainingListener(), start=start)

    return make


def tensors_of(outcome, base):
    return Additions.read(outcome.additions, base=base.weights_hash)


def test_a_run_that_learns_nothing_hands_its_start_back(run, base, start):
    outcome = run(rate=0.0, new_rate=0.0).run()
    assert [each.step for each in outcome.history.validations] == [0, 1]
    found = tensors_of(outcome, base)
    assert found.checkpoint.tensors.keys() == start.checkpoint.tensors.keys()
    assert all(torch.equal(value, start.checkpoint.tensors[name]) for name, value in found.checkpoint.tensors.items())
    assert found.trained == {"clicks": "decoder", "boxes": "tokens"}
    assert found.settings == start.settings


def test_a_run_without_low_images_keeps_the_low_additions(run, base, start):
    found = tensors_of(run(low_share=0.0).run(), base)
    low = [name for name in start.checkpoint.tensors if name.startswith("clicks.low.")]
    assert low
    assert all(torch.equal(found.checkpoint.tensors[name], start.checkpoint.tensors[name]) for name in low)


def test_additions_that_join_later_start_fresh(start, options):
    whole, later = (start_tensors(start, options(additions_from=share)) for share in (0.0, 0.5))
    assert {name.split(".")[0] for name in whole} == {"decoder", "prompt_encoder", "high", "low"}
    assert {name.split(".")[0] for name in later} == {"decoder", "prompt_encoder"}


def test_additions_that_never_join_stay_as_they_were(run, base, start):
    found = tensors_of(run(additions_from=1.0, save_every=1, validate_every=1, rate=1e-2, steps=2).run(), base)
    names = [name for name in start.checkpoint.tensors if name.startswith(("clicks.high.", "clicks.low."))]
    assert len(names) == 50
    assert all(torch.equal(found.checkpoint.tensors[name], start.checkpoint.tensors[name]) for name in names)


def test_a_part_of_the_start_is_kept():
    start, trained = {"a": torch.zeros(2), "b": torch.ones(2)}, {"a": torch.ones(2), "c": torch.ones(2)}
    found = blended(trained, start, 0.25)
    assert found["a"].tolist() == [0.75, 0.75]
    assert found["c"].tolist() == [1, 1]
    assert blended(trained, start, 0.0)["a"].tolist() == [1, 1]


def test_a_run_that_keeps_all_of_its_start_hands_it_back(run, base, start):
    found = tensors_of(run(keep_start=1.0, additions_from=1.0, rate=1e-2).run(), base)
    assert all(torch.equal(value, start.checkpoint.tensors[name]) for name, value in found.checkpoint.tensors.items())


def test_candidates_begin_with_the_base_own_and_keep_a_part_of_them(run, base, start):
    chosen = {"trained": "decoder+masks", "candidates_weight": 1.0, "additions_from": 1.0, "rate": 1e-2}
    found = tensors_of(run(keep_start=1.0, **chosen).run(), base)
    assert found.trained["clicks"] == "decoder+masks"
    name = "output_hypernetworks_mlps.2.layers.0.weight"
    ours, bases = found.checkpoint.tensors[f"clicks.decoder.{name}"], base.plain.high.decoder.get_parameter(name)
    assert torch.equal(ours, bases.half())


def test_a_start_of_another_kind_is_refused(base, start, options):
    with pytest.raises(TrainingError, match="trained with --train decoder"):
        start_tensors(start, options(trained="tokens"))
    assert start_tensors(start, options(trained="decoder+masks")).keys() == start_tensors(start, options()).keys()
    only = Additions(start.base, {"boxes": "tokens"}, start.checkpoint, start.settings)
    with pytest.raises(TrainingError, match="no weights for clicks"):
        start_tensors(only, options())


def test_another_start_is_another_run(run, base, start):
    first = run(save_every=1)
    first.run()
    changed = {name: value + 1 for name, value in start.checkpoint.tensors.items()}
    other = Additions(start.base, start.trained, type(start.checkpoint)(start.checkpoint.path, changed), start.settings)
    first._start = start_tensors(other, first._options)
    with pytest.raises(TrainingError, match="other settings or data"):
        first.run(resume=True)


@pytest.fixture(scope="module")
def on_a_stage(base, start, tmp_path_factory):
    """The same additions, on a last stage of the encoder that was trained, too."""
    names = base.encoder.last_stage_names()
    stage = {f"encoder.{name}": base.encoder.get_parameter(name).detach() * 0.9 for name in names}
    path = tmp_path_factory.mktemp("stage") / "start.safetensors"
    tensors = start.checkpoint.tensors | stage
    path.write_bytes(pack(start.base, start.trained, tensors, start.settings, last_stage=True))
    return Additions.read(path, base=base.weights_hash)


def test_weights_that_go_on_from_a_trained_last_stage_are_trained_on_it_and_keep_it(
    base, encode, manifest, options, tmp_path, monkeypatch, start, on_a_stage
):
    asked, data = [], [Source(manifest())]
    monkeypatch.setattr(
        "wsisam_server.learning.training.run.frozen_encoder", lambda modules, *_, **__: asked.append(modules) or encode
    )

    def made(**files):
        device = torch.device("cpu")
        return Run(
            base, data, options(steps=1), tmp_path / "out", device=device, listener=SilentTrainingListener(), **files
        )

    run = made(start=on_a_stage)
    (used,) = asked
    name = base.encoder.last_stage_names()[0]
    assert torch.equal(used.encoder.get_parameter(name), on_a_stage.checkpoint.tensors[f"encoder.{name}"].float())
    assert used.encoder is not base.encoder
    outcome = run.run()
    found = tensors_of(outcome, base)
    assert found.last_stage
    assert torch.equal(found.checkpoint.tensors[f"encoder.{name}"], on_a_stage.checkpoint.tensors[f"encoder.{name}"])
    assert load(base.paths.sam, additions=outcome.additions).last_stage == used.last_stage
    with pytest.raises(TrainingError, match="different last stages"):
        made(start=on_a_stage, beside=start)
