"""What all parts of `on_gpu.py` are measured on, and how much of it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from on_slide import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gpu_models import NumberType
    from on_slide import Server


@dataclass(frozen=True)
class Sizes:
    """How much is measured, where the time suffices."""

    click_fields: int
    batch_fields: int
    batch: int
    users: tuple[int, ...]
    users_seconds: float
    windows: tuple[int, ...]
    rounds: int
    prompts: tuple[int, ...]
    type_fields: int
    boxes: int
    objects: int
    training_batches: tuple[int, ...]
    training_windows: int
    validation_objects: int
    trial_steps: int


FULL = Sizes(
    24, 20, 1000, (1, 2, 4, 8, 16, 32), 12.0, (1, 2, 4, 8), 5, (1, 8, 32, 128), 24, 4, 40, (4, 32), 600, 40, 30
)
SMALL = Sizes(3, 2, 8, (1, 2), 6.0, (1, 2), 2, (1, 8), 2, 2, 2, (2,), 4, 2, 2)


@dataclass(frozen=True)
class Setting:
    """What all parts are measured on.

    Attributes:
        slide: a file.
        manifests: of drawn objects; none without data.
        device: a torch device string.
        threads: of the model on the CPU.
        out: path of the results, without an ending; what was trained goes beside it.
        small: whether the encoders are cut down too.
        sizes: how much.
    """

    slide: Path
    manifests: tuple[Path, ...]
    device: str
    threads: int
    out: Path
    small: bool
    sizes: Sizes

    @contextmanager
    def server(self, kind: NumberType, **limits: int) -> Iterator[Server]:
        """A server on the device."""
        flags = ("--device", self.device, "--dtype", kind.dtype)
        with serving(self.slide.parent, self.threads, *flags, **limits) as server:
            yield server
