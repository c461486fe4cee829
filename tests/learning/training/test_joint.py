"""The encoder's last stage trains, with the weights of both routes on it."""

import numpy as np
import pytest
import torch

from wsisam_model import EncoderOutput, Prompt, WsiSam
from wsisam_model.additions import Additions
from wsisam_server.learning.training import Run, Source, TrainingError
from wsisam_server.learning.training.cache import Features
from wsisam_server.learning.training.encoder import frozen_encoder
from wsisam_server.learning.training.joint_trainer import JointTrainer
from wsisam_server.learning.training.listeners import SilentTrainingListener
from wsisam_server.learning.training.start import joint_start
from wsisam_server.learning.training.validation import network_answer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def encode():
    """The stand-in for the frozen stages: a random projection of the window's colours."""
    random = torch.Generator().manual_seed(1)
    projection = torch.randn(160, 3, generator=random)

    def run(image, /):
        pixels = torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)
        features = torch.einsum("dc,chw->dhw", projection, torch.nn.functional.avg_pool2d(pixels, 4)).half()
        return Features(features, features.flip(0))

    return run


@pytest.fixture
def trainer(base, store, examples, options):
    return JointTrainer(
        base, store, examples(2), options(last_stage=True, candidates_weight=1.0, low_share=0.5, batch=2), CPU
    )


def test_a_step_changes_the_last_stage_and_both_routes_alone(trainer, base):
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    trainer.train_step()
    after = trainer.network.state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed <= set(trainer.network.trained_parameters())
    for part in (
        "encoder.trunk.stages.3.blocks.1.mlp.fc1.weight",
        "encoder.neck.2.weight",
        "boxes.high.hf_token.weight",
    ):
        assert part in changed
    assert any(name.startswith("clicks.decoder.transformer.") for name in changed)
    assert not any(name.startswith("boxes.decoder.") for name in changed)
    # The base is left alone.
    assert torch.equal(base.encoder.neck[2].weight, before["encoder.neck.2.weight"])


def test_one_window_is_learnt_by_heart(base, store, examples, options):
    chosen = options(last_stage=True, steps=8, low_share=0.0, batch=2, rate=1e-3, last_stage_rate=1e-3)
    trainer = JointTrainer(base, store, examples(1), chosen, CPU)
    losses = [trainer.train_step() for _ in range(8)]
    assert sum(losses[-2:]) < 0.8 * sum(losses[:2])


def test_a_stopped_trainer_goes_on_to_the_same_numbers(base, store, examples, options):
    chosen, found = options(last_stage=True, steps=4, low_share=0.0, batch=2), examples(2)
    whole = JointTrainer(base, store, found, chosen, CPU)
    losses = [whole.train_step() for _ in range(2)]
    first = JointTrainer(base, store, found, chosen, CPU)
    first.train_step()
    again = JointTrainer(base, store, found, chosen, CPU)
    again.restore(first.state())
    assert again.train_step() == losses[1]


@pytest.fixture
def run(base, encode, manifest, options, tmp_path, monkeypatch):
    monkeypatch.setattr("wsisam_server.learning.training.run.frozen_encoder", lambda *_, **__: encode)
    path = manifest()

    def make(name, start=None, **changes):
        chosen = options(last_stage=True, trained="decoder+masks", steps=1, batch=1, validate_every=1, **changes)
        return Run(
            base,
            [Source(path)],
            chosen,
            tmp_path / name,
            device=CPU,
            listener=SilentTrainingListener(),
            start=start,
        ).run()

    return make


def test_a_run_writes_a_file_that_answers_as_the_network_did(run, base, sam_file, examples, store, options):
    outcome = run("first", low_share=0.0)
    assert set(outcome.history.best.means) == {"box", "1", "3", "5"}
    file = Additions.read(outcome.additions, base.weights_hash)
    assert (file.last_stage, file.trained) == (True, {"clicks": "decoder+masks", "boxes": "tokens"})
    model = WsiSam.from_files(sam_file, additions=outcome.additions)
    (example,) = examples(1)
    network = JointTrainer(
        base, store, [example], options(last_stage=True, low_share=0.0), CPU, joint_start(file)
    ).network
    features = store.features(example, "high")
    frozen, early = features.embedding[None].float(), features.early[None].float()
    other = EncoderOutput(torch.zeros(1, 256, 64, 64), early, frozen)
    embedding = model.prepare(model.with_own_last_stage(other))
    for prompt in (Prompt(box=(60, 60, 190, 190)), Prompt(points=[(100, 100)], labels=[1])):
        wanted = network_answer(network, store, low=False)(example, prompt)
        np.testing.assert_allclose(model.decode(embedding, None, prompt).logits, wanted, atol=1e-2)


def test_a_run_goes_on_from_the_file_of_another(run, base):
    first = Additions.read(run("first", low_share=0.5).additions, base.weights_hash)
    still = {"rate": 0.0, "last_stage_rate": 0.0}
    again = Additions.read(run("again", start=first, low_share=0.0, **still).additions, base.weights_hash)
    assert again.checkpoint.tensors.keys() == first.checkpoint.tensors.keys()
    for name, value in first.checkpoint.tensors.items():
        assert torch.equal(value, again.checkpoint.tensors[name]), name


def test_features_without_the_last_stage_are_what_it_takes(base):
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    names = [name for name, _ in base.encoder.named_parameters()]
    features = frozen_encoder(base, CPU, last_stage=False)(image)
    # The base was not rewritten, and can still be trained.
    assert [name for name, _ in base.encoder.named_parameters()] == names
    with torch.inference_mode():
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (base.variant.mean, base.variant.std))
        wanted = base.encoder.eval()(((torch.from_numpy(image).permute(2, 0, 1) - mean) / std)[None])
        finished = base.encoder.finish(features.embedding[None].float())
    torch.testing.assert_close(finished, wanted.embedding, atol=2e-2, rtol=1e-2)
    torch.testing.assert_close(features.early[None].float(), wanted.early, atol=2e-2, rtol=1e-2)


@pytest.mark.parametrize("changes", [{"box_only": True}, {"additions_from": 0.5}])
def test_what_joint_training_cannot_do_is_refused(changes, base, store, examples, options):
    with pytest.raises(TrainingError, match="--last-stage"):
        JointTrainer(base, store, examples(1), options(last_stage=True, **changes), CPU)
