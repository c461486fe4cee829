"""The loop learns, and stops where it cannot."""

import dataclasses

import pytest
import torch

from wsisam_server.learning.training import TrainingError, validation
from wsisam_server.learning.training.cache import Features
from wsisam_server.learning.training.trainer import Trainer

CPU = torch.device("cpu")


def test_one_window_is_learnt_by_heart(base, store, examples, options):
    (example,) = examples(1)
    alone = dataclasses.replace(example, others=())
    trainer = Trainer(base, store, [alone], options(steps=20, additions_from=1.0), CPU)
    losses = [trainer.train_step() for _ in range(20)]
    assert sum(losses[-4:]) < 0.6 * sum(losses[:4])


def test_the_additions_wait_for_their_share_of_the_run(base, store, examples, options):
    trainer = Trainer(base, store, examples(1), options(steps=4, additions_from=0.5, low_share=1.0), CPU)
    token = trainer.network.high.hf_mlp.layers[-1].weight
    for joined in (False, False, True, True):
        assert trainer.joined is joined
        trainer.train_step()
        assert bool(token.any()) is joined


def test_a_loss_that_is_no_number_stops_the_run_before_it_does_harm(base, store, examples, options, monkeypatch):
    trainer = Trainer(base, store, examples(1), options(), CPU)
    trainer.train_step()
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    broken = Features(torch.full((256, 64, 64), torch.nan), torch.zeros(160, 64, 64))
    monkeypatch.setattr(store, "features", lambda *_: broken)
    with pytest.raises(TrainingError, match="step 1 is no finite number"):
        trainer.train_step()
    assert all(torch.equal(value, before[name]) for name, value in trainer.network.state_dict().items())
    assert trainer.step == 1


def test_nothing_to_train_on(base, store, options):
    with pytest.raises(TrainingError, match="no window"):
        Trainer(base, store, [], options(), CPU)


def test_candidates_without_weights_of_their_own_are_refused(base, store, examples, options):
    with pytest.raises(TrainingError, match=r"use --train decoder\+masks"):
        Trainer(base, store, examples(1), options(candidates_weight=1.0), CPU)


def test_validation_tells_the_best_candidate_from_the_chosen_one(base, store, examples, options):
    (example,) = examples(1)
    network = Trainer(base, store, [example], options(trained="decoder+masks", candidates_weight=1.0), CPU).network
    asked = validation.network_candidates(network, store, low=False)
    found = validation.answers(validation.network_answer(network, store, low=False), example, 256, candidates=asked)
    dice = {each.prompt: each.dice for each in found}
    assert set(dice) == {"1", "3", "5", validation.CHOSEN, validation.BEST}
    assert dice[validation.BEST] >= max(dice["1"], dice[validation.CHOSEN])
