"""Where a run begins: with the weights of an additions file instead of the base's."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

from wsisam_model.trainable import TRAINED
from wsisam_server.learning.training.errors import TrainingError
from wsisam_server.learning.training.joint_network import ROUTES

if TYPE_CHECKING:
    from torch import Tensor

    from wsisam_model.additions import Additions, RouteName
    from wsisam_server.learning.training.joint_network import JointNetwork
    from wsisam_server.learning.training.network import Network
    from wsisam_server.learning.training.options import TrainOptions

_ADDED = ("high.", "low.")


def route_of(options: TrainOptions) -> RouteName:
    """Which prompts the weights of a run answer."""
    return "boxes" if options.box_only else "clicks"


def start_tensors(start: Additions, options: TrainOptions) -> dict[str, Tensor]:
    """The tensors of a file that a run begins with, float32, under their names in `Network`.

    HR and LR additions that join later in the run (`TrainOptions.additions_from`) are not among them: the weights that
    they were trained beside have changed by then. Those that never join are, and stay as they are.

    Raises:
        TrainingError: the file holds nothing for these prompts, or weights of parts that the run does not train.
    """
    route = route_of(options)
    trained = start.trained.get(route)
    if trained is None:
        raise TrainingError(f"the file to start from holds no weights for {route}; leave out --from for this run")
    if TRAINED.index(trained) > TRAINED.index(options.trained):
        raise TrainingError(
            f"the weights to start from were trained with --train {trained}; with {options.trained} some would "
            f"be lost; use --train {trained}"
        )
    prefix = f"{route}."
    tensors = {
        name.removeprefix(prefix): value.float()
        for name, value in start.checkpoint.tensors.items()
        if name.startswith(prefix)
    }
    if 0 < options.additions_from < 1:
        tensors = {name: value for name, value in tensors.items() if not name.startswith(_ADDED)}
    return tensors


def joint_start(start: Additions) -> dict[str, Tensor]:
    """The tensors of a file that a run with the encoder's last stage begins with, float32, by their names in the file.

    Raises:
        TrainingError: the file holds weights of parts that such a run does not train.
    """
    for route, trained in start.trained.items():
        if TRAINED.index(trained) > TRAINED.index(ROUTES[route]):
            raise TrainingError(
                f"the weights for {route} to start from were trained with --train {trained}, of which --last-stage "
                "would lose some"
            )
    return {name: value.float() for name, value in start.checkpoint.tensors.items()}


@torch.no_grad()
def begin_with(network: Network | JointNetwork, tensors: dict[str, Tensor]) -> None:
    """Puts weights into a network; parts without one keep theirs.

    Raises:
        TrainingError: a tensor is not of this network.
    """
    parameters = dict(network.named_parameters())
    for name, value in tensors.items():
        if name not in parameters or parameters[name].shape != value.shape:
            raise TrainingError(f"the file to start from does not fit this base: {name} is of another size or unknown")
        parameters[name].copy_(value)


def begun(network: Network | JointNetwork, start: dict[str, Tensor]) -> dict[str, Tensor]:
    """The trained weights of a network that has just begun with `start`.

    Parts that the file did not train were the base's in it, so these belong to the start, too. HR and LR additions that
    are not in `start` begin anew, and do not.
    """
    return {
        name: value.detach().clone()
        for name, value in network.trained_parameters().items()
        if name in start or not name.startswith(_ADDED)
    }


def blended(tensors: dict[str, Tensor], start: dict[str, Tensor], keep: float) -> dict[str, Tensor]:
    """Weights between those of the start and those that were trained (Wortsman et al. 2022, WiSE-FT).

    They forget less of what the start knew than the trained ones, and have most of what was learnt.

    Args:
        tensors: trained parameters, under their names in `Network`.
        start: from `begun`; what is not in it stays as trained.
        keep: the start's part, from 0 to 1.
    """
    return {
        name: torch.lerp(value, start[name].to(value), keep) if name in start else value
        for name, value in tensors.items()
    }


def digest(tensors: dict[str, Tensor]) -> str:
    """Identifies weights."""
    found = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        found.update(name.encode() + value.contiguous().numpy().tobytes())
    return found.hexdigest()
