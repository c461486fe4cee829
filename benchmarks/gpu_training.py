"""The part of `on_gpu.py` that trains for as long as it has time."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from gpu_models import fresh, peak_mib
from timed_parts import FAILED, Deadline, TimeIsUpError
from training_study import VARIANTS as RECIPES

from wsisam_model.loading import load
from wsisam_server.inference.weights import WeightsFolder, default_folder, frozen_sam
from wsisam_server.learning.training import Run, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpu_setting import Setting
    from timed_parts import Row

    from wsisam_server.learning.training import TrainOptions, Validation


class _Clock:
    """A `TrainingListener` that notes when things are done, and ends the run when its time is over."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self.started = time.perf_counter()
        self.windows: list[float] = []
        self.steps: list[float] = []
        self.losses: list[float] = []
        self.validations: list[tuple[float, Validation]] = []

    def encoded(self, _done: int, _total: int) -> None:
        self._check()
        self.windows.append(time.perf_counter())

    def stepped(self, _step: int, _steps: int, loss: float) -> None:
        self._check()
        self.steps.append(time.perf_counter())
        self.losses.append(loss)

    def validated(self, validation: Validation) -> None:
        self.validations.append((time.perf_counter(), validation))

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
        step = 0.0
        for batch in sizes.training_batches:
            windows = min(sizes.training_windows, 2 * sizes.trial_steps)
            trial = replace(recipe, batch=batch, steps=sizes.trial_steps, windows=windows)
            clock, row = _trained(setting, trial, folder, Deadline(0.4 * deadline.left))
            yield {"run": f"trial, {batch} prompts a step"} | row
            if batch == sizes.training_batches[0] and clock.steps:
                step, validation = row["ms a step"] / 1000, row["validation s"] or 0.0
        if not step:
            return
        if row["windows a second"]:
            # The features take half of what is left at most, validations (three, with the last) what they take.
            fitting = int(0.5 * deadline.left * row["windows a second"])
            recipe = replace(recipe, windows=max(1, min(recipe.windows, fitting)))
        encoding = recipe.windows / (row["windows a second"] or float("inf"))
        steps = max(2, int(0.85 * (deadline.left - encoding - 3 * validation) / step))
        recipe = replace(recipe, steps=steps, batch=sizes.training_batches[0], validate_every=-(-steps // 2))
        clock, row = _trained(setting, recipe, folder, deadline)
        yield {"run": f"as long as there is time, {recipe.batch} prompts a step"} | row
        for _, one in clock.validations:
            yield {"run": f"validation after {one.step} steps"} | {f"Dice, {k}": v for k, v in one.means.items()}
        best = folder / "best" / "additions.safetensors"
        if clock.validations and best.exists():
            shutil.copy(best, setting.out.with_name(f"{setting.out.name}-additions.safetensors"))


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
    marks = [*clock.windows[-1:], *clock.steps]
    each = np.diff(marks)
    row: Row = {
        "windows": len(clock.windows),
        "windows a second": _rate(clock.started, clock.windows),
        "steps": len(clock.steps),
        "ms a step": 1000 * float(np.median(each)) if len(each) else None,
        "prompts a second": options.batch / float(np.median(each)) if len(each) else None,
        "validation s": clock.validations[0][0] - _before(clock) if clock.validations else None,
        "first losses": statistics.mean(clock.losses[:tenth]) if clock.losses else None,
        "last losses": statistics.mean(clock.losses[-tenth:]) if clock.losses else None,
        "peak MiB": peak_mib(setting.device),
    }
    return clock, row | failed


def _before(clock: _Clock) -> float:
    """When the first validation began."""
    ended = clock.validations[0][0]
    return max(mark for mark in clock.steps if mark <= ended)


def _rate(started: float, marks: Sequence[float]) -> float | None:
    return len(marks) / (marks[-1] - started) if marks else None
