"""A picture of a report: Dice by kind of prompt, one line of points for each variant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from wsisam_server.learning.evaluation.report import EvaluationReport

_COLORS = {"sam": "#7a7a7a", "hr": "#1f77b4", "hr+lr": "#d62728"}
_SPREAD = 0.12


def plot(report: EvaluationReport, path: Path) -> None:
    """Writes a picture of the mean Dice with its 95 % intervals.

    Args:
        report: what to show.
        path: where to; its ending tells the format (.png, .svg, .pdf).

    Raises:
        OSError: the file cannot be written.
        ValueError: there is no such format.
    """
    # Slow to import, and wanted by few. Figure without pyplot has no state and needs no screen.
    from matplotlib.figure import Figure  # noqa: PLC0415

    prompts = report.options.prompts
    figure = Figure(figsize=(1.5 + 1.1 * len(prompts), 4), layout="constrained")
    axes = figure.add_subplot()
    for number, variant in enumerate(report.variants):
        offset = (number - (len(report.variants) - 1) / 2) * _SPREAD
        found = [report.result(variant, prompt) for prompt in prompts]
        axes.errorbar(
            [place + offset for place in range(len(prompts))],
            [result.dice for result in found],
            # A mean of equal numbers may lie a rounding error outside its own interval.
            yerr=[
                [max(result.dice - result.ci[0], 0.0) for result in found],
                [max(result.ci[1] - result.dice, 0.0) for result in found],
            ],
            fmt="o",
            capsize=3,
            color=_COLORS[variant],
            label=variant,
        )
    axes.set_xticks(range(len(prompts)), [_label(prompt) for prompt in prompts])
    axes.set_ylim(0, 1)
    axes.set_ylabel("mean Dice, 95 % interval")
    axes.grid(axis="y", alpha=0.3)
    axes.set_title(f"{report.model}, {report.results[0].n} objects")
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=150)


def _label(prompt: str) -> str:
    if not prompt.isdecimal():
        return prompt
    return "1 click" if prompt == "1" else f"{prompt} clicks"
