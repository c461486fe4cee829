"""The loss counts what is wrong about the clicks by itself."""

import pytest
import torch

from wsisam_model.branch import Candidates
from wsisam_model.dual import DualMasks
from wsisam_server.learning.training.losses import candidates_loss, click_places, objective


@pytest.fixture
def mask():
    mask = torch.zeros(1, 64, 64, dtype=torch.bool)
    mask[:, 16:48, 16:48] = True
    return mask


def loss(drawn, mask, clicks, weight):
    logits = torch.where(drawn, 4.0, -4.0)
    masks = DualMasks(logits, logits, torch.zeros(1), None)
    return float(objective(masks, mask, None, click_places([clicks], 64), weight))


def test_places_are_one_at_a_click_and_fade():
    (places,) = click_places([[(20.5, 30.5, 1), (50.5, 10.5, 0)]], 64)
    assert places[30, 20] == places[10, 50] == 1
    assert 0.5 < places[30, 25] < 0.7
    assert places[60, 60] < 1e-4
    assert not click_places([[]], 64).any()


def test_an_error_about_a_click_costs_more_than_one_elsewhere(mask):
    holes = []
    for x in (20, 40):
        drawn = mask.clone()
        drawn[:, 30:34, x : x + 4] = False
        holes.append(drawn)
    at_click, elsewhere = (loss(drawn, mask, [(22.0, 32.0, 1)], 0.5) for drawn in holes)
    assert at_click > elsewhere + 0.15
    assert loss(holes[0], mask, [(22.0, 32.0, 1)], 0.0) == pytest.approx(loss(holes[1], mask, [(22.0, 32.0, 1)], 0.0))


def test_a_box_without_clicks_has_the_loss_of_before(mask):
    assert loss(mask, mask, [], 0.5) == pytest.approx(loss(mask, mask, [], 0.0))


def test_the_best_candidate_learns_and_the_others_hardly(mask):
    good, poor = torch.where(mask, 1.0, -1.0), torch.where(mask.roll(20, dims=2), 1.0, -1.0)
    logits = torch.stack([poor, good, poor], dim=1).requires_grad_()
    candidates_loss(Candidates(logits, torch.zeros(1, 3)), mask).sum().backward()
    pulls = logits.grad.abs().sum(dim=(0, 2, 3))
    assert pulls[1] > 4 * pulls[0] > 0
    assert pulls[0] == pytest.approx(pulls[2])


def test_a_true_estimate_of_each_candidate_costs_least(mask):
    logits = torch.stack([torch.where(mask, 4.0, -4.0), torch.where(mask.roll(16, dims=2), 4.0, -4.0)], dim=1)
    true, swapped = torch.tensor([[1.0, 1 / 3]]), torch.tensor([[1 / 3, 1.0]])
    costs = [float(candidates_loss(Candidates(logits, iou), mask)) for iou in (true, swapped)]
    assert costs[0] < costs[1] - 0.1
