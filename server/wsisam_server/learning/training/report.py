"""The report of a run: a page for people, with the part of a model card that a run can know."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from wsisam_server.learning.evaluation.pictures import ANSWER, NEGATIVE, POSITIVE, TRUTH
from wsisam_server.learning.training.checkpoint import replace_with
from wsisam_server.learning.training.windows import LABEL_SIDE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from wsisam_server.learning.training.examples import Example
    from wsisam_server.learning.training.history import Validation
    from wsisam_server.learning.training.options import TrainOptions
    from wsisam_server.learning.training.run import TrainingResult
    from wsisam_server.learning.training.validation import ValidationAnswer

SIDE: Final = 384
_DOT = 4
_SHOWN: Final = 6  # pictures of the best answers, and as many of the worst
_LOSS_ROWS: Final = 10
_QUICK: Final = (
    "In window pixels, on images that were not trained on; quick numbers that steered the run. "
    "`wsisam evaluate` gives those to quote."
)


def write_report(
    folder: Path,
    command: str,
    options: TrainOptions,
    outcome: TrainingResult,
    pixels: Callable[[Example], NDArray[np.uint8]],
) -> Path:
    """Writes report.md and its pictures.

    Args:
        folder: of the run.
        command: what was typed.
        options: of the run.
        outcome: of the run.
        pixels: reads an example's HR view.

    Returns:
        The page.

    Raises:
        TrainingError: it cannot be written.
    """
    best = outcome.history.best
    assert best is not None
    page = folder / "report.md"
    answers = outcome.worst_to_best
    worst, good = answers[:_SHOWN], answers[::-1][: min(_SHOWN, len(answers) // 2)]
    parts = [
        "# Training report",
        f"    {command}",
        f"Best weights: step {best.step} of {options.steps}, {outcome.additions.stat().st_size / 1e6:.1f} MB.",
        "## Data",
        _table(["data set", "training windows"], [[name, str(count)] for name, count in outcome.windows.items()]),
        f"Rows without an object, skipped: {outcome.skipped}.",
        "## Mean Dice on validation objects",
        _QUICK,
        _validations(outcome.history.validations, best),
        "### By data set, best weights",
        _by_source(best),
        "## Loss",
        _losses(outcome.history.losses),
        "## Worst answers",
        _pictures(folder, "worst", worst, pixels),
        "## Best answers",
        _pictures(folder, "best", good, pixels),
        "## Settings",
        _table(["setting", "value"], [[f.name, str(getattr(options, f.name))] for f in fields(options)]),
    ]
    replace_with(page, ("\n\n".join(parts) + "\n").encode())
    return page


def _table(header: list[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))


def _validations(validations: Sequence[Validation], best: Validation) -> str:
    prompts = list(best.means)
    rows = [
        [f"{each.step}{' (best)' if each is best else ''}", *(f"{each.means[prompt]:.3f}" for prompt in prompts)]
        for each in validations
    ]
    return _table(["step", *prompts], rows)


def _by_source(best: Validation) -> str:
    prompts = list(best.means)
    rows = [[name, *(f"{means[prompt]:.3f}" for prompt in prompts)] for name, means in best.by_source.items()]
    return _table(["data set", *prompts], rows)


def _losses(losses: Sequence[float]) -> str:
    """Means over tenths of the run."""
    size = -(-len(losses) // _LOSS_ROWS)
    blocks = [losses[start : start + size] for start in range(0, len(losses), size)]
    rows = [[f"{index * size + 1}-{index * size + len(b)}", f"{sum(b) / len(b):.4f}"] for index, b in enumerate(blocks)]
    return _table(["steps", "mean loss"], rows)


def _pictures(
    folder: Path, name: str, answers: Sequence[ValidationAnswer], pixels: Callable[[Example], NDArray[np.uint8]]
) -> str:
    """Writes pictures below the folder and returns the page's links to them."""
    there = folder / "pictures"
    there.mkdir(exist_ok=True)
    links = []
    for rank, answered in enumerate(answers, start=1):
        file = there / f"{name}_{rank}.png"
        _picture(pixels(answered.example), answered).save(file)
        text = f"{answered.example.source}, {answered.prompt}, Dice {answered.dice:.3f}"
        links.append(f"![{text}]({there.name}/{file.name})")
    return "\n".join(links)


def _picture(pixels: NDArray[np.uint8], answered: ValidationAnswer) -> Image.Image:
    """The HR window of an answer: the object's edge green, the answer's pink, clicks as dots.

    Args:
        pixels: uint8 [S, S, 3], what the model saw.
        answered: the answer.
    """
    image = np.array(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    for mask, color in ((answered.mask, TRUTH), (answered.drawn, ANSWER)):
        large = np.asarray(Image.fromarray(mask).resize((SIDE, SIDE), Image.Resampling.NEAREST))
        image[large & ~ndimage.binary_erosion(large, iterations=2)] = color
    drawn = Image.fromarray(image)
    pen = ImageDraw.Draw(drawn)
    scale = SIDE / LABEL_SIDE
    for x, y, positive in answered.clicks:
        center_x, center_y = x * scale, y * scale
        corners = (center_x - _DOT, center_y - _DOT, center_x + _DOT, center_y + _DOT)
        pen.ellipse(corners, fill=POSITIVE if positive else NEGATIVE, outline="white")
    return drawn
