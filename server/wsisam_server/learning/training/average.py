"""A running average of the trained weights, which is what validates and ships: it is steadier than the last step."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from wsisam_server.learning.training.joint_network import JointNetwork
    from wsisam_server.learning.training.network import Network


class Average:
    """Exponential moving average of a network's trained parameters.

    Args:
        network: whose.
        decay: weight of the past in each update, once there is a past; the first updates follow faster.
    """

    def __init__(self, network: Network | JointNetwork, decay: float) -> None:
        self._network = network
        self._decay = decay
        self.updates = 0
        self.tensors = {name: value.detach().clone() for name, value in network.trained_parameters().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Takes the network's present weights in."""
        self.updates += 1
        decay = min(self._decay, self.updates / (self.updates + 10))
        for name, value in self._network.trained_parameters().items():
            self.tensors[name].lerp_(value, 1 - decay)

    def restore(self, tensors: Mapping[str, Tensor], updates: int) -> None:
        """Goes on from an average that was saved."""
        self.updates = updates
        for name, value in tensors.items():
            self.tensors[name].copy_(value)

    @contextmanager
    @torch.no_grad()
    def applied(self, instead: Mapping[str, Tensor] | None = None) -> Iterator[None]:
        """The network holds the average inside the `with`, and its own weights again after it.

        Args:
            instead: hold these weights, an average of earlier.
        """
        parameters = self._network.trained_parameters()
        own = {name: value.detach().clone() for name, value in parameters.items()}
        for name, value in parameters.items():
            value.copy_((instead or self.tensors)[name])
        try:
            yield
        finally:
            for name, value in parameters.items():
                value.copy_(own[name])
