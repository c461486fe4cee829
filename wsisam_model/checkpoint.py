"""Weights files: read without running what they hold, and fitted to modules without tolerance."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from torch import Tensor

from wsisam_model.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import nn

# By the key that holds the tensors, what their names may begin with there. micro-sam's trainer keeps its SAM as an
# attribute (micro_sam/training/trainable_sam.py).
_WRAPPERS = {"model": "", "model_state": "sam."}


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of one file.

    Attributes:
        path: the file.
        tensors: its tensors by name, on the CPU.
    """

    path: Path
    tensors: Mapping[str, Tensor]

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Reads a state dict from a PyTorch or a .safetensors file: plain, or under one of the keys of `_WRAPPERS`.

        What lies beside it under other keys is not looked at, such as micro-sam's decoder for whole images.

        Raises:
            CheckpointError: no such file, not a checkpoint, truncated, or holding anything but tensors.
        """
        content = _content(path)
        for key, prefix in _WRAPPERS.items():
            if isinstance(content, dict) and isinstance(content.get(key), dict):
                content = {
                    name.removeprefix(prefix) if isinstance(name, str) else name: value
                    for name, value in content[key].items()
                }
                break
        if not isinstance(content, dict) or not content:
            raise CheckpointError(path, "holds no state dict")
        strange = [
            str(key) for key, value in content.items() if not (isinstance(key, str) and isinstance(value, Tensor))
        ]
        if strange:
            raise CheckpointError(path, "holds more than tensors", strange)
        return cls(path, {key: value.detach() for key, value in content.items()})

    def without(self, prefixes: tuple[str, ...]) -> Checkpoint:
        """The same file less the tensors whose names start with one of the prefixes."""
        return replace(
            self, tensors={key: value for key, value in self.tensors.items() if not key.startswith(prefixes)}
        )

    def only(self, prefix: str) -> Checkpoint:
        """The same file's tensors whose names start with the prefix, alone."""
        return replace(self, tensors={key: value for key, value in self.tensors.items() if key.startswith(prefix)})

    def load_into(self, *targets: tuple[nn.Module, Callable[[str], str]]) -> None:
        """Gives every tensor to exactly one parameter or buffer, and every one of these exactly one tensor.

        The modules hold the file's tensors afterwards, not copies; modules on the meta device come to the CPU.

        Args:
            targets: modules, each with the function from its own names to the file's.

        Raises:
            CheckpointError: a name is missing or unknown, or a shape or kind of number differs. No module was
                changed then.
        """
        self.require({name(key): value for module, name in targets for key, value in module.state_dict().items()})
        for module, name in targets:
            # half-precision files are widened: the model's dtype is chosen when it is used
            state = {key: self.tensors[name(key)].to(value.dtype) for key, value in module.state_dict().items()}
            module.load_state_dict(state, assign=True)

    def require(self, wanted: Mapping[str, Tensor]) -> None:
        """Checks that the file holds these tensors and no others, of these shapes and kinds of number.

        Args:
            wanted: what the modules hold now, by the file's names; of any values, or on the meta device.

        Raises:
            CheckpointError: a name is missing or unknown, or a shape or kind of number differs.
        """
        self._require("lacks tensors", [key for key in wanted if key not in self.tensors])
        self._require("holds unknown tensors", [key for key in self.tensors if key not in wanted])
        self._require(
            "holds tensors of another shape", [key for key in wanted if self.tensors[key].shape != wanted[key].shape]
        )
        self._require(
            "holds tensors of another kind of number",
            [key for key in wanted if self.tensors[key].is_floating_point() != wanted[key].is_floating_point()],
        )

    def _require(self, problem: str, faults: list[str]) -> None:
        if faults:
            raise CheckpointError(self.path, problem, faults)


def weights_hash(checkpoints: Mapping[str, Checkpoint]) -> str:
    """Identifies a model by its weights.

    Args:
        checkpoints: the model's files by the part each one plays.

    Returns:
        SHA-256, in hex, over part, name, dtype, shape and bytes of every tensor, sorted by part and name.
    """
    digest = hashlib.sha256()
    for part, checkpoint in sorted(checkpoints.items()):
        for name, tensor in sorted(checkpoint.tensors.items()):
            digest.update(f"{part}/{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
            digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _content(path: Path) -> Any:
    if not path.is_file():
        raise CheckpointError(path, "no such file")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # arbitrary bytes make the unpickler fail in arbitrary ways
        raise CheckpointError(path, "not a readable file of tensors only") from error
