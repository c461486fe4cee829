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
    """How much is measured, where the time suffices.

    Attributes:
        click_fields: fields that are clicked in, twice each.
        batch_fields: fields of a batch.
        batch: its boxes.
        users: how many at once.
        users_seconds: how long so many.
        windows: in one call of an encoder.
        rounds: repetitions of a call.
        prompts: in one run of the decoder.
        type_fields: fields in which number types are compared.
        boxes: in each.
        objects: of a manifest.
        training_batches: prompts of a step; the first number is trained with.
        training_windows: at most.
        validation_objects: after which training is judged.
        trial_steps: before it is known how many there is time for.
    """

    click_fields: int = 24
    batch_fields: int = 20
    batch: int = 1000
    users: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    users_seconds: float = 12.0
    windows: tuple[int, ...] = (1, 2, 4, 8)
    rounds: int = 5
    prompts: tuple[int, ...] = (1, 8, 32, 128)
    type_fields: int = 24
    boxes: int = 4
    objects: int = 40
    training_batches: tuple[int, ...] = (4, 32)
    training_windows: int = 600
    validation_objects: int = 40
    trial_steps: int = 30


FULL = Sizes()
SMALL = Sizes(
    click_fields=3,
    batch_fields=2,
    batch=8,
    users=(1, 2),
    users_seconds=6.0,
    windows=(1, 2),
    rounds=2,
    prompts=(1, 8),
    type_fields=2,
    boxes=2,
    objects=2,
    training_batches=(2,),
    training_windows=4,
    validation_objects=2,
    trial_steps=2,
)


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
