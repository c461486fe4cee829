"""The errors of this package: one root, each carrying the data that a caller needs to act on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_NAMED_KEYS = 5  # a checkpoint of another model differs in hundreds of keys; the first few tell which


class WsiSamError(Exception):
    """Root of every error that this package raises on purpose."""


class PromptError(WsiSamError):
    """A prompt that cannot be encoded.

    Attributes:
        field: the part of the prompt at fault: "points", "labels", "box", "mask" or "prompt" for the whole.
        problem: what is wrong with it, with the offending value.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class ImageError(WsiSamError):
    """An image that the model does not take.

    Attributes:
        expected_shape: shape of the image that the model takes, [height, width, 3].
        shape: shape of what was given, None when it is no array.
        dtype: its element type, or the name of its Python type when it is no array.
    """

    def __init__(self, expected_shape: tuple[int, ...], shape: tuple[int, ...] | None, dtype: str) -> None:
        super().__init__(f"expected a uint8 RGB array of shape {expected_shape}, got {dtype} of shape {shape}")
        self.expected_shape = expected_shape
        self.shape = shape
        self.dtype = dtype


class EmbeddingError(WsiSamError):
    """An embedding that cannot serve the call: made by another model, or encoded for other roles.

    Attributes:
        problem: why it cannot serve.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class CheckpointError(WsiSamError):
    """A weights file that cannot be read, or does not fit the model.

    Attributes:
        path: the file.
        problem: what is wrong with it.
        keys: every tensor name at fault, sorted; empty when the fault is the file's.
    """

    def __init__(self, path: Path, problem: str, keys: Sequence[str] = ()) -> None:
        self.path = path
        self.problem = problem
        self.keys = tuple(sorted(keys))
        more = len(self.keys) - _NAMED_KEYS
        names = ", ".join(self.keys[:_NAMED_KEYS]) + (f" and {more} more" if more > 0 else "")
        super().__init__(f"{path}: {problem}" + (f": {names}" if names else ""))

    @property
    def key(self) -> str | None:
        """The first tensor name at fault, None when the fault is the file's."""
        return self.keys[0] if self.keys else None


class SettingsError(WsiSamError):
    """Settings that a model cannot be used with."""


class UnknownModelError(WsiSamError):
    """A name that the registry does not list.

    Attributes:
        name: the name asked for.
        known: the names listed.
    """

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"unknown model {name!r}; known: {', '.join(known)}")
        self.name = name
        self.known = tuple(known)


class ModelFilesMissing(WsiSamError):  # noqa: N818 - the public name; it says a state, as FileNotFound does
    """A listed model whose weights are not on this machine.

    Attributes:
        name: the model's name.
        install_hint: what to run or to call to have it.
    """

    def __init__(self, name: str, install_hint: str) -> None:
        super().__init__(f"the weights of {name} are not installed: {install_hint}")
        self.name = name
        self.install_hint = install_hint
