"""The part of `on_gpu.py` that trains for as long as it has time."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from gpu_models import fresh, peak_mib
from timed_parts import FAILED, Deadline, TimeIsUpError
from training_study import VARIANTS as RECIPES

from wsisam_model.loading import load
from wsisam_server.inference.weights import WeightsFolder, default_folder, frozen_sam
from wsisam_server.learning.training import Run, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpu_setting import Setting
    from timed_parts import Row

    from wsisam_server.learning.training import TrainOptions, Validation


class _Clock:
    """A `TrainingListener` that notes what things take, in seconds, and ends the run when its time is over.

    Attributes:
        windows: each encoding.
        steps: each step.
        losses: of each step.
        validations: each with what it took.
    """

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._before = time.perf_counter()
        self.windows: list[float] = []
        self.steps: list[float] = []
        self.losses: list[float] = []
        self.validations: list[tuple[float, Validation]] = []

    def encoded(self, _done: int, _total: int) -> None:
        self.windows.append(self._spent())
        self._check()

    def stepped(self, _step: int, _steps: int, loss: float) -> None:
        self.steps.append(self._spent())
        self.losses.append(loss)
        self._check()

    def validated(self, validation: Validation) -> None:
        self.validations.append((self._spent(), validation))

    def _spent(self) -> float:
        before, self._before = self._before, time.perf_counter()
        return self._before - before

    def _check(self) -> None:
        if not self._deadline.left:
            self._deadline.cut = True
            raise TimeIsUpError


def training_rows(setting: Setting, deadline: Deadline) -> Iterator[Row]:
    """First what a window, a step and a validation take; then as many steps as the time allows."""
    sizes = setting.sizes
    recipe = replace(
        RECIPES["additions for the last 15 %"],
        windows=sizes.training_windows,
        validation_objects=sizes.validation_objects,
        skip_low=True,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = []
        for batch in sizes.training_batches:
            windows = min(sizes.training_windows, 2 * sizes.trial_steps)
            trial = replace(recipe, batch=batch, steps=sizes.trial_steps, windows=windows)
            _, row = _trained(setting, trial, folder, Deadline(0.4 * deadline.left))
            rows.append(row)
            yield {"run": f"trial, {batch} prompts a step"} | row
        # The first one: it alone encodes its windows, and the run has as many prompts a step.
        first = rows[0]
        if FAILED in first:
            return
        recipe = _fitting(replace(recipe, batch=sizes.training_batches[0]), first, deadline)
        clock, row = _trained(setting, recipe, folder, deadline)
        yield {"run": f"as long as there is time, {recipe.batch} prompts a step"} | row
        for _, one in clock.validations:
            yield {"run": f"validation after {one.step} steps"} | {f"Dice, {k}": v for k, v in one.means.items()}
        best = folder / "best" / "additions.safetensors"
        if clock.validations and best.exists():
            shutil.copy(best, setting.out.with_name(f"{setting.out.name}-additions.safetensors"))


def _fitting(recipe: TrainOptions, trial: Row, deadline: Deadline) -> TrainOptions:
    """As many windows and steps as there is time for, by what a trial took; half of it for windows at most."""
    rate = trial["windows a second"]
    windows = max(1, min(recipe.windows, int(0.5 * deadline.left * rate)))
    # With two validations, and that of the weights that are kept.
    left = deadline.left - windows / rate - 3 * trial["validation s"]
    steps = max(2, int(0.8 * left / (trial["ms a step"] / 1000)))
    return replace(recipe, windows=windows, steps=steps, validate_every=-(-steps // 2))


def _trained(setting: Setting, options: TrainOptions, folder: Path, deadline: Deadline) -> tuple[_Clock, Row]:
    """One run; the features of an earlier one in the same folder are used again."""
    (folder / "last.pt").unlink(missing_ok=True)
    fresh(setting.device)
    clock = _Clock(deadline)
    base = load(frozen_sam(WeightsFolder(default_folder()), "wsisam-lite"))
    sources = [Source(manifest) for manifest in setting.manifests]
    failed: Row = {}
    try:
        Run(base, sources, options, folder, device=torch.device(setting.device), listener=clock).run()
    except TimeIsUpError:
        failed = {FAILED: "its time was over before its end"}
    tenth = max(1, len(clock.losses) // 10)
    steps = clock.steps[1:] or clock.steps  # the first one warms up
    step = statistics.mean(steps) if steps else None
    row: Row = {
        "windows": len(clock.windows),
        "windows a second": len(clock.windows) / sum(clock.windows) if clock.windows else None,
        "steps": len(clock.steps),
        "ms a step": None if step is None else 1000 * step,
        "prompts a second": None if step is None else options.batch / step,
        "validation s": clock.validations[0][0] if clock.validations else None,
        "first losses": statistics.mean(clock.losses[:tenth]) if clock.losses else None,
        "last losses": statistics.mean(clock.losses[-tenth:]) if clock.losses else None,
        "peak MiB": peak_mib(setting.device),
    }
    return clock, row | failed
