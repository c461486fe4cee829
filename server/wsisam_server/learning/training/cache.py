"""The features of windows on the disk, encoded once: one safetensors file an HR or LR window.

A file names what it holds (model, image, window, augmentation) and a checksum of its bytes; one that is damaged, or of
something else, is made again. Files are written beside their place and then moved there, so that a killed process
leaves none half written.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING, NamedTuple

import safetensors
from safetensors.torch import save

from wsisam_server.learning.training.checkpoint import replace_with

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import Tensor

FORMAT = "wsisam-features-1"


class Features(NamedTuple):
    """What the frozen encoder makes of one window, float16 on the CPU, channels first.

    Attributes:
        embedding: [256, 64, 64]; where the last stage is trained what that takes, [F, 64, 64].
        early: [C, 64, 64].
    """

    embedding: Tensor
    early: Tensor


class FeatureCache:
    """Features by what they were made of.

    Args:
        folder: where the files lie; made if missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, key: str, make: Callable[[], Features]) -> Features:
        """The features of `key`, read if there, else made and written.

        Args:
            key: everything that the features depend on, as text.
            make: makes them.

        Raises:
            TrainingError: they cannot be written, because the disk is full for example.
        """
        path = self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"
        found = _read(path, key)
        if found is not None:
            return found
        features = make()
        tensors = features._asdict()
        metadata = {"format": FORMAT, "key": key, "crc32": str(_checksum(tensors))}
        replace_with(path, save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata))
        return features


def _read(path: Path, key: str) -> Features | None:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT or metadata.get("key") != key:
                return None
            tensors = {name: file.get_tensor(name) for name in Features._fields}
    except (OSError, safetensors.SafetensorError):
        return None
    return Features(**tensors) if metadata.get("crc32") == str(_checksum(tensors)) else None


def _checksum(tensors: Mapping[str, Tensor]) -> int:
    total = 0
    for name in Features._fields:
        total = zlib.crc32(tensors[name].contiguous().numpy().data, total)
    return total
