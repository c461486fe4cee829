"""From a model's name to its files, and from these to the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wsisam_model
from wsisam_model import UnknownModelError, WsiSamError, available_models, registry
from wsisam_server.inference.weights.errors import WeightsError
from wsisam_server.inference.weights.names import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wsisam_model import Dtype, ModelSettings, WsiSam
    from wsisam_server.inference.weights.folder import WeightsFolder
    from wsisam_server.inference.weights.record import ModelRecord, Part


def built_in() -> list[str]:
    """The built-in models whose weights are on this machine."""
    return [model.name for model in available_models() if model.name in BUILT_IN and model.installed]


def paths(folder: WeightsFolder, record: ModelRecord) -> dict[Part, Path]:
    """Where a model's files lie, by part, with the SAM of its base. Whether they exist is not checked.

    Raises:
        WeightsError: its base is not there.
    """
    own: dict[Part, Path] = {part: folder.path / record.name / each.file for part, each in record.files.items()}
    return own if record.base is None else {"sam": frozen_sam(folder, record.base), **own}


def frozen_sam(folder: WeightsFolder, name: str) -> Path:
    """The SAM checkpoint of a model, to build another one on.

    Raises:
        WeightsError: there is no such model, or its weights are not there.
    """
    if name not in BUILT_IN:
        return paths(folder, folder.record(name))["sam"]
    try:
        return registry.resolve(name)[1].sam
    except WsiSamError as error:
        raise WeightsError(str(error)) from error


def load_files(
    located: Mapping[Part, Path],
    *,
    name: str,
    settings: ModelSettings | None = None,
    device: str = "cpu",
    dtype: Dtype = "float32",
) -> WsiSam:
    """`WsiSam.from_files` for files by part.

    Raises:
        CheckpointError: a file cannot be read or does not fit.
    """
    return wsisam_model.WsiSam.from_files(
        located["sam"],
        located.get("high"),
        located.get("low"),
        additions=located.get("additions"),
        name=name,
        settings=settings,
        device=device,
        dtype=dtype,
    )


def load_record(folder: WeightsFolder, record: ModelRecord, *, device: str = "cpu", dtype: Dtype = "float32") -> WsiSam:
    """Loads a model that was added.

    Raises:
        WeightsError: a file is missing, damaged, or not the one that was added.
    """
    try:
        located = paths(folder, record)
        model = load_files(located, name=record.name, settings=record.settings, device=device, dtype=dtype)
    except WsiSamError as error:
        raise WeightsError(f"{error}. {_again(record.name)}") from error
    if model.weights_hash != record.weights_hash:
        raise WeightsError(f"{record.name}: its files hold other weights than those added. {_again(record.name)}")
    return model


def load(
    folder: WeightsFolder, name: str, *, additions: Path | None = None, device: str = "cpu", dtype: Dtype = "float32"
) -> WsiSam:
    """Loads a model by its name, built in or added.

    Args:
        folder: of the models that were added.
        name: the model's.
        additions: a file of `wsisam train` for the model's frozen SAM, in place of what was added to it.
        device: a torch device string.
        dtype: element type of the activations.

    Raises:
        WeightsError: there is no such model, or its files are missing or damaged.
    """
    added = folder.names()
    try:
        if name not in added:
            return wsisam_model.WsiSam.from_name(name, additions=additions, device=device, dtype=dtype)
        if additions is None:
            return load_record(folder, folder.record(name), device=device, dtype=dtype)
        located: dict[Part, Path] = {"sam": frozen_sam(folder, name), "additions": additions}
        return load_files(located, name=name, device=device, dtype=dtype)
    except UnknownModelError as error:
        known = ", ".join([*BUILT_IN, *added])
        raise WeightsError(
            f"there is no model {name!r}. Choose one of {known}, or add it: wsisam weights add {name}"
        ) from error
    except WsiSamError as error:
        raise WeightsError(str(error)) from error


def _again(name: str) -> str:
    return f"Check it with: wsisam weights verify {name}"
