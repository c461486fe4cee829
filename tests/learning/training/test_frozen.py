"""What a setting does not train stays as it is, bit by bit."""

import pytest
import torch

from wsisam_server.learning.training.trainer import Trainer

CPU = torch.device("cpu")
TRAINED_PARTS = {
    "tokens": {"high", "low"},
    "tokens+prompts": {"high", "low", "prompt_encoder"},
    "decoder": {"high", "low", "prompt_encoder", "decoder"},
    "decoder+masks": {"high", "low", "prompt_encoder", "decoder"},
}
CANDIDATES = ("mask_tokens", "output_hypernetworks_mlps.1", "mlps.2", "mlps.3")


@pytest.mark.parametrize("trained", TRAINED_PARTS)
def test_only_what_is_trained_changes(base, store, examples, options, trained):
    before = {name: value.clone() for name, value in _base_state(base).items()}
    weight = 1.0 if trained == "decoder+masks" else 0.0
    chosen = options(trained=trained, low_share=1.0, low_mask_share=1.0, candidates_weight=weight, box_share=0.0)
    trainer = Trainer(base, store, examples(1), chosen, CPU)
    start = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    for _ in range(2):
        trainer.train_step()
    changed = {name for name, value in trainer.network.state_dict().items() if not torch.equal(value, start[name])}
    assert {name.split(".")[0] for name in changed} == TRAINED_PARTS[trained]
    assert changed <= set(trainer.network.trained_parameters())
    assert not [name for name in changed if name.startswith("decoder.iou_token")]
    candidates = [part for part in CANDIDATES if any(name.startswith("decoder.") and part in name for name in changed)]
    assert candidates == (list(CANDIDATES) if weight else [])
    assert all(torch.equal(value, before[name]) for name, value in _base_state(base).items())


def test_without_low_share_the_low_branch_is_not_trained(base, store, examples, options):
    trainer = Trainer(base, store, examples(1), options(trained="tokens", low_share=0.0), CPU)
    assert {name.split(".")[0] for name in trainer.network.trained_parameters()} == {"high"}


def test_training_starts_from_the_base_own_masks(base, store, examples, options):
    from wsisam_model import Prompt
    from wsisam_server.learning.training.validation import network_answer

    (example,) = examples(1)
    network = Trainer(base, store, [example], options(), CPU).network
    prompt = Prompt(box=(60, 60, 190, 190))
    with_additions = network_answer(network, store, low=True)(example, prompt)
    without = network_answer(network, store, low=False, additions=False)(example, prompt)
    assert abs(with_additions - without).max() < 1e-4 * abs(without).max()


def _base_state(base):
    modules = (("prompt_encoder", base.prompt_encoder), ("plain", base.plain))
    return {f"{part}.{name}": value for part, module in modules for name, value in module.state_dict().items()}
