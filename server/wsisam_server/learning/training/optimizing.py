"""What the trainers have in common: the optimizer, its learning rate over a run, and the end of a step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import torch

from wsisam_server.learning.training.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsisam_server.learning.training.average import Average
    from wsisam_server.learning.training.joint_network import JointNetwork
    from wsisam_server.learning.training.network import Network

_WARM_UP: Final = 0.03  # share of the run
_FLOOR: Final = 0.02  # share of the peak that is left at the end
_WEIGHT_DECAY: Final = 0.01
_CLIP: Final = 1.0  # largest norm of a step's gradient


class Optimizing:
    """The optimizer of a run.

    Args:
        network: what trains.
        average: of its weights.
        groups: parameters (`params`), each with its peak learning rate (`peak`) and the step from which it learns
            (`start`).
        steps: of the whole run.

    Attributes:
        optimizer: torch's.
    """

    def __init__(
        self, network: Network | JointNetwork, average: Average, groups: Sequence[dict[str, Any]], steps: int
    ) -> None:
        self._network = network
        self._average = average
        self._steps = steps
        chosen = [group for group in groups if group["params"]]
        self.optimizer = torch.optim.AdamW(chosen, lr=0.0, weight_decay=_WEIGHT_DECAY)

    def begin(self, step: int) -> None:
        """Sets the learning rates of a step, and forgets the gradients of the one before."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * _rate_factor(step - group["start"], self._steps - group["start"])
        self.optimizer.zero_grad()

    def end(self, step: int, loss: float) -> None:
        """Changes the weights by the gradients that have gathered, and averages them.

        Raises:
            TrainingError: the loss or its gradient is no finite number. The weights are as they were.
        """
        norm = torch.nn.utils.clip_grad_norm_(self._network.trained_parameters().values(), _CLIP)
        if not math.isfinite(loss) or not torch.isfinite(norm):
            raise TrainingError(
                f"the loss at step {step} is no finite number; lower --lr and go on with --resume from the last "
                "checkpoint, which is still good"
            )
        self.optimizer.step()
        self._average.update()

    def state(self) -> dict[str, Any]:
        """Weights, their average and the optimizer's memory, for a checkpoint."""
        return {
            "weights": {name: value.detach() for name, value in self._network.trained_parameters().items()},
            "average": self._average.tensors,
            "average_updates": self._average.updates,
            "optimizer": self.optimizer.state_dict(),
        }

    @torch.no_grad()
    def restore(self, state: dict[str, Any]) -> None:
        """Goes on where `state` was taken."""
        for name, value in self._network.trained_parameters().items():
            value.copy_(state["weights"][name])
        self._average.restore(state["average"], state["average_updates"])
        self.optimizer.load_state_dict(state["optimizer"])


def _rate_factor(step: int, steps: int) -> float:
    """Share of the peak learning rate at a step: a linear rise, then half a cosine (Loshchilov & Hutter 2017).

    Args:
        step: from 0; before it, nothing.
        steps: of the whole run.
    """
    if step < 0:
        return 0.0
    warm = max(1, round(_WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    progress = (step - warm) / max(1, steps - warm)
    return _FLOOR + (1 - _FLOOR) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2
