"""The additions file: what was trained for a frozen base, without the base.

One safetensors file. Tensors are named `<route>.<part>.<name>`: the route says which prompts they answer, the part is
`decoder` (SAM's, for both branches), `prompt_encoder`, `high` or `low` (`WsiParts` of a branch), and the name is that
of the parameter in its module. Which names a route has follows from what was trained, see `trainable`; all that is
missing is the base's. Where the encoder's last stage was trained, for all routes, its tensors are `encoder.<name>`, see
`ImageEncoder.last_stage_names`. The metadata's one entry, `wsisam_additions`, is a JSON object:

    format     1
    base       `weights_hash` of the base that they were trained for
    trained    object: route -> one of `trainable.TRAINED`
    settings   object: fields of `ModelSettings` that the weights want; may be empty
    scores     object, may be missing: kind of answer -> its `calibration.ScoreCurve`
    encoder    "last stage" where that was trained; else missing
    types      object, may be missing: number type of the encoder -> its `number_types.TypeFinding`
    ranked     true where these scores tell which of a single click's candidates to choose; else missing

One entry, since safetensors writes several in a random order: the same weights shall be the same bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeGuard, get_args

import safetensors
import safetensors.torch
import torch

from wsisam_model import calibration, number_types
from wsisam_model.checkpoint import Checkpoint
from wsisam_model.errors import CheckpointError
from wsisam_model.settings import ModelSettings
from wsisam_model.trainable import TRAINED, Trained

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from wsisam_model.calibration import Calibration
    from wsisam_model.number_types import TypeFinding

FORMAT: Final = 1
_ENTRY: Final = "wsisam_additions"
_LAST_STAGE: Final = "last stage"
LAST_STAGE_PREFIX: Final = "encoder."
"""Of the names of the last stage's tensors."""

RouteName: TypeAlias = Literal["clicks", "boxes"]
"""Which prompts a route answers: "boxes" those of a box alone, "clicks" all others. What has no route is answered by
the base as it is: weights trained on clicks draw boxes worse than the base does, which was made for them."""

ROUTES: Final[tuple[RouteName, ...]] = get_args(RouteName)


@dataclass(frozen=True)
class Additions:
    """The content of an additions file.

    Attributes:
        base: `weights_hash` of the base that they were trained for.
        trained: by route, what was trained; at least one route.
        checkpoint: the tensors, by their names in the file.
        settings: what the weights want.
        calibration: of the scores of its answers.
        ranked: whether these scores were measured to choose better among candidates than the model's own answer is.
        last_stage: whether the encoder's last stage was trained.
        number_types: what is known of other number types of the encoder.
    """

    base: str
    trained: Mapping[RouteName, Trained]
    checkpoint: Checkpoint
    settings: ModelSettings
    calibration: Calibration = field(default_factory=dict)
    ranked: bool = False
    last_stage: bool = False
    number_types: Mapping[str, TypeFinding] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, base: str | None) -> Additions:
        """Reads a file; whether its tensors fit is seen when they are loaded.

        Args:
            path: the file.
            base: `weights_hash` of the base that they shall be added to; None for whichever they were trained for.

        Raises:
            CheckpointError: no additions file, damaged, of a newer version, or for another base.
        """
        checkpoint = Checkpoint.read(path)
        metadata = _metadata(path)
        if metadata.get("format") != FORMAT:
            raise CheckpointError(path, f"its format is {metadata.get('format')!r}; this version reads {FORMAT}")
        trained_for = metadata.get("base")
        if not isinstance(trained_for, str) or base not in {None, trained_for}:
            raise CheckpointError(path, "was trained for another base; its additions mean nothing to this one")
        trained, wanted = metadata.get("trained"), metadata.get("settings")
        if not _is_usable(trained) or not isinstance(wanted, dict):
            raise CheckpointError(path, "does not say what was trained, and for which settings")
        try:
            settings = ModelSettings(**wanted)
        except (TypeError, ValueError) as error:
            raise CheckpointError(path, f"wants settings that this version does not know ({error})") from error
        try:
            scores = calibration.from_json(metadata.get("scores", {}))
            types = number_types.from_json(metadata.get("types", {}))
        except ValueError as error:
            raise CheckpointError(path, str(error)) from error
        encoder = metadata.get("encoder")
        if encoder not in {None, _LAST_STAGE}:
            raise CheckpointError(path, f"has trained {encoder!r} of the encoder, which this version does not know")
        return cls(
            trained_for,
            trained,
            checkpoint,
            settings,
            scores,
            ranked=metadata.get("ranked") is True,
            last_stage=encoder is not None,
            number_types=types,
        )


def pack(
    base: str,
    trained: Mapping[RouteName, Trained],
    tensors: Mapping[str, Tensor],
    settings: ModelSettings,
    scores: Calibration | None = None,
    *,
    ranked: bool = False,
    last_stage: bool = False,
    types: Mapping[str, TypeFinding] | None = None,
) -> bytes:
    """The bytes of an additions file, all its tensors in half precision.

    Args:
        base: as in `Additions`.
        trained: as in `Additions`.
        tensors: by their names in the file.
        settings: what the weights want; the batch size is left out, since it is the device that wants one.
        scores: the calibration of its answers' scores.
        ranked: as in `Additions`.
        last_stage: as in `Additions`.
        types: the number types of `Additions`.
    """
    # All of them, also where they are the defaults: defaults may change, a file must not change with them.
    wanted = {
        field.name: getattr(settings, field.name) for field in fields(ModelSettings) if field.name != "batch_size"
    }
    metadata = {"format": FORMAT, "base": base, "trained": dict(trained), "settings": wanted}
    if scores:
        metadata["scores"] = calibration.to_json(scores)
    if ranked:
        metadata["ranked"] = True
    if types:
        metadata["types"] = number_types.to_json(types)
    if last_stage:
        metadata["encoder"] = _LAST_STAGE
    content: bytes = safetensors.torch.save(
        {name: tensor.detach().to("cpu", torch.float16).contiguous() for name, tensor in tensors.items()},
        {_ENTRY: json.dumps(metadata, sort_keys=True)},
    )
    return content


def _metadata(path: Path) -> dict[str, Any]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get(_ENTRY, ""))
    except (OSError, safetensors.SafetensorError, json.JSONDecodeError) as error:
        raise CheckpointError(path, "no file of additions") from error
    if not isinstance(metadata, dict):
        raise CheckpointError(path, "no file of additions")
    return metadata


def _is_usable(trained: object) -> TypeGuard[dict[RouteName, Trained]]:
    return (
        isinstance(trained, dict)
        and bool(trained)
        and set(trained) <= set(ROUTES)
        and all(value in TRAINED for value in trained.values())
    )
