"""All models that can be loaded here by name, for people."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wsisam_model import available_models
from wsisam_server.inference.weights.errors import WeightsError
from wsisam_server.inference.weights.files import load
from wsisam_server.inference.weights.names import BUILT_IN

if TYPE_CHECKING:
    from wsisam_server.inference.weights.folder import WeightsFolder


@dataclass(frozen=True)
class KnownModel:
    """One model.

    Attributes:
        name: what to call it by.
        built_in: whether it came with the program; others were added.
        description: what it is; empty if that is not known.
        licence: of the weights; empty if unknown.
        weights_hash: of all its tensors, in hex; empty if unknown.
        nbytes: of its weights in memory, in float32.
        added: when, ISO 8601; empty for one that is built in.
        source: where it came from; empty if unknown.
        problem: why it cannot be loaded and what to do; empty if nothing is known against it.
    """

    name: str
    built_in: bool
    description: str = ""
    licence: str = ""
    weights_hash: str = ""
    nbytes: int = 0
    added: str = ""
    source: str = ""
    problem: str = ""


def list_models(folder: WeightsFolder) -> list[KnownModel]:
    """The built-in models, then those added, by name. Files are not read again; `verify` does that.

    Raises:
        WeightsError: the folder cannot be read.
    """
    return [*_built_in(folder), *(_added(folder, name) for name in folder.names())]


def _built_in(folder: WeightsFolder) -> list[KnownModel]:
    found = []
    for entry in available_models():
        if entry.name not in BUILT_IN:
            continue
        known = KnownModel(entry.name, built_in=True, description=entry.description, licence=entry.licence)
        if not entry.installed:
            found.append(replace(known, problem=f"its weights are not installed; run: {entry.install_hint}"))
            continue
        try:
            model = load(folder, entry.name)
        except (WeightsError, ModuleNotFoundError) as error:  # the latter: the weights are here, torch is not
            found.append(replace(known, problem=str(error)))
        else:
            found.append(replace(known, weights_hash=model.weights_hash, nbytes=model.nbytes))
    return found


def _added(folder: WeightsFolder, name: str) -> KnownModel:
    try:
        record = folder.record(name)
    except WeightsError as error:
        return KnownModel(name, built_in=False, problem=str(error))
    return KnownModel(
        name,
        built_in=False,
        description=record.description if record.base is None else f"{record.description}, on {record.base}",
        licence=record.licence,
        weights_hash=record.weights_hash,
        nbytes=record.nbytes,
        added=record.added,
        source=record.source,
    )
