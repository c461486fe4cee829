"""From a trained network to the additions file that a model is loaded with."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from wsisam_model.additions import Additions, RouteName, pack
from wsisam_server.learning.training.checkpoint import replace_with
from wsisam_server.learning.training.joint_network import ROUTES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from wsisam_model import ModelSettings
    from wsisam_model.calibration import Calibration
    from wsisam_model.number_types import TypeFinding
    from wsisam_model.trainable import Trained


# The last layer of the HR or LR token's MLP, in which what the additions draw is linear.
_LAST_LAYER: Final = re.compile(r"((clicks|boxes)\.)?(high|low)\.hf_mlp\.layers\.2\.(weight|bias)")


def weakened(tensors: Mapping[str, Tensor], strength: float) -> dict[str, Tensor]:
    """The same weights with additions that draw only a part of what they did.

    They are added to SAM's own logits, so that a part of them is an answer between SAM's and theirs; it errs less on
    tissue unlike what was trained on.

    Args:
        tensors: trained parameters, under their names in `Network`.
        strength: the part, from 0 to 1.
    """
    return {name: value * strength if _LAST_LAYER.fullmatch(name) else value.clone() for name, value in tensors.items()}


def export_joint(path: Path, tensors: Mapping[str, Tensor], *, base: str, settings: ModelSettings) -> None:
    """Writes an additions file of both routes and the encoder's last stage.

    Args:
        path: the file.
        tensors: the trained parameters, under their names in `JointNetwork`, which are the file's.
        base: as in `export`.
        settings: as in `export`.

    Raises:
        TrainingError: it cannot be written.
    """
    replace_with(path, pack(base, ROUTES, tensors, settings, last_stage=True))


def with_calibration(path: Path, out: Path, scores: Calibration, *, ranked: bool) -> None:
    """Writes an additions file again with another calibration of its scores. All else stays, bit by bit.

    Args:
        path: the file.
        out: where to; may be the same.
        scores: the calibration.
        ranked: see `Additions`.

    Raises:
        CheckpointError: the file cannot be read.
        TrainingError: it cannot be written.
    """
    _write_again(out, replace(Additions.read(path, base=None), calibration=scores, ranked=ranked))


def with_number_types(path: Path, out: Path, types: Mapping[str, TypeFinding]) -> None:
    """Writes an additions file again with what is known of other number types of the encoder. All else stays.

    Args:
        path: the file.
        out: where to; may be the same.
        types: see `Additions`.

    Raises:
        CheckpointError: the file cannot be read.
        TrainingError: it cannot be written.
    """
    _write_again(out, replace(Additions.read(path, base=None), number_types=types))


def _write_again(out: Path, additions: Additions) -> None:
    content = pack(
        additions.base,
        additions.trained,
        additions.checkpoint.tensors,
        additions.settings,
        additions.calibration,
        ranked=additions.ranked,
        last_stage=additions.last_stage,
        types=additions.number_types,
    )
    replace_with(out, content)


def export(
    path: Path,
    route: RouteName,
    trained: Trained,
    tensors: Mapping[str, Tensor],
    *,
    base: str,
    settings: ModelSettings,
    beside: Additions | None = None,
) -> None:
    """Writes an additions file.

    Args:
        path: the file.
        route: which prompts the weights answer.
        trained: what was trained.
        tensors: the trained parameters, under their names in `Network`, which are the file's below the route.
        base: `weights_hash` of the frozen base.
        settings: what the weights want.
        beside: a file whose other route is kept beside this one, and the encoder's last stage if it has one.

    Raises:
        TrainingError: it cannot be written.
    """
    named = {f"{route}.{name}": value for name, value in tensors.items()}
    routes: dict[RouteName, Trained] = {route: trained}
    if beside is not None:
        routes |= {name: value for name, value in beside.trained.items() if name != route}
        named |= {name: value for name, value in beside.checkpoint.tensors.items() if not name.startswith(f"{route}.")}
    last_stage = beside is not None and beside.last_stage
    replace_with(path, pack(base, routes, named, settings, last_stage=last_stage))
