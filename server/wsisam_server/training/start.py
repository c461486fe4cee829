"""Where a run begins: with the weights of an additions file instead of the base's."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

from wsisam_server.training.errors import TrainingError

if TYPE_CHECKING:
    from torch import Tensor

    from wsisam_model.additions import Additions, RouteName
    from wsisam_server.training.network import Network
    from wsisam_server.training.options import TrainOptions

_ADDED = ("high.", "low.")


def route_of(options: TrainOptions) -> RouteName:
    """Which prompts the weights of a run answer."""
    return "boxes" if options.box_only else "clicks"


def start_tensors(start: Additions, options: TrainOptions) -> dict[str, Tensor]:
    """The tensors of a file that a run begins with, float32, under their names in `Network`.

    HR and LR additions that join later in the run (`TrainOptions.additions_from`) are not among them: the weights that
    they were trained beside have changed by then.

    Raises:
        TrainingError: the file holds nothing for these prompts, or other parts of the model than the run trains.
    """
    route = route_of(options)
    trained = start.trained.get(route)
    if trained is None:
        raise TrainingError(f"the file to start from holds no weights for {route}; leave out --from for this run")
    if trained != options.trained:
        raise TrainingError(
            f"the weights to start from were trained with --train {trained}; use the same instead of {options.trained}"
        )
    prefix = f"{route}."
    tensors = {
        name.removeprefix(prefix): value.float()
        for name, value in start.checkpoint.tensors.items()
        if name.startswith(prefix)
    }
    if options.additions_from > 0:
        tensors = {name: value for name, value in tensors.items() if not name.startswith(_ADDED)}
    return tensors


@torch.no_grad()
def begin_with(network: Network, tensors: dict[str, Tensor]) -> None:
    """Puts weights into a network; parts without one keep theirs.

    Raises:
        TrainingError: a tensor is not of this network.
    """
    parameters = dict(network.named_parameters())
    for name, value in tensors.items():
        if name not in parameters or parameters[name].shape != value.shape:
            raise TrainingError(f"the file to start from does not fit this base: {name} is of another size or unknown")
        parameters[name].copy_(value)


def digest(tensors: dict[str, Tensor]) -> str:
    """Identifies weights."""
    found = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        found.update(name.encode() + value.contiguous().numpy().tobytes())
    return found.hexdigest()
