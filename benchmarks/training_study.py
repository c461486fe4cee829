"""What each choice in the training of clicks is worth: the same data, steps and validation objects, several seeds.

    python benchmarks/training_study.py run OUT MANIFEST[=WEIGHT]... [--steps N] [--seed N]... [--only VARIANT]...
    python benchmarks/training_study.py table OUT

A variant differs from `control` (SAM's own mask decoder trained, without HR and LR additions) in one thing, see
`VARIANTS`. Windows and validation objects are the same in all (`draw_seed` 0); a seed decides the additions' first
weights, the order, and what the simulated annotator does. OUT/answers.jsonl gets one line an object and prompt; runs
that are in it are not run again, so a killed study goes on. The table gives the mean Dice over objects and seeds, the
least and greatest of the seeds' means, and the paired difference from the control with its 95 % bootstrap interval
(seeds and objects drawn with replacement).
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
import torch

from wsisam_model.loading import load
from wsisam_server.inference.weights import WeightsFolder, default_folder, frozen_sam
from wsisam_server.learning.training import Source, TrainOptions, sources, validation
from wsisam_server.learning.training.cache import FeatureCache
from wsisam_server.learning.training.encoder import frozen_encoder
from wsisam_server.learning.training.examples import Examples
from wsisam_server.learning.training.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from wsisam_server.learning.training.examples import Example

CONTROL = TrainOptions(
    rate=3e-4, box_share=0.25, additions_from=1.0, low_share=0.0, windows=420, validation_objects=70, draw_seed=0
)
VARIANTS = {
    "control": CONTROL,
    "additions for the last 15 %": replace(CONTROL, additions_from=0.85, low_share=0.6),
    "tokens alone (the paper's)": replace(CONTROL, trained="tokens", additions_from=0.0),
    "tokens and prompts": replace(CONTROL, trained="tokens+prompts", additions_from=0.0),
    "stains as they are": replace(CONTROL, vary_stain=False),
    "one scale": replace(CONTROL, vary_scale=False),
    "no feedback": replace(CONTROL, feedback=0.0),
}
"""Options by name. Those with an LR branch are also asked without it, and the control also without feedback."""

_RESAMPLES = 4000
_INTERVAL = (2.5, 97.5)


class Study:
    """Runs of one data set and number of steps, whose answers go into one file.

    Args:
        out: folder of the answers and of the features.
        manifests: the data sets.
        steps: of each run.
    """

    def __init__(self, out: Path, manifests: list[Source], steps: int) -> None:
        self._out, self._steps = out, steps
        self._base = load(frozen_sam(WeightsFolder(default_folder()), "wsisam-lite"))
        self._splits = [(source, *sources.split_rows(source)) for source in manifests]
        self._cache, self._encode = FeatureCache(out / "features"), frozen_encoder(self._base, torch.device("cpu"))

    def run(self, name: str, seed: int) -> None:
        """Trains one variant with one seed, and asks it."""
        options = replace(VARIANTS[name], seed=seed, steps=self._steps)
        store = Examples(
            self._cache,
            self._encode,
            self._base.weights_hash,
            self._base.variant.image_size,
            encode_now=("high",),
            vary_scale=options.vary_scale,
            vary_stain=options.vary_stain,
        )
        examples, cases = self._data(store, options)
        trainer = Trainer(self._base, store, examples, options, torch.device("cpu"))
        for step in range(self._steps):
            loss = trainer.train_step()
            if (step + 1) % 25 == 0:
                click.echo(f"{name}, seed {seed}: step {step + 1} of {self._steps}, loss {loss:.3f}")
        asked = [("", False, options.feedback > 0)]
        if options.low_share > 0:
            asked.append((", with LR", True, True))
        if name == "control":
            asked.append((", asked without feedback", False, False))
        with (self._out / "answers.jsonl").open("a") as file:
            for suffix, low, feedback in asked:
                found = list(_ask(trainer, store, cases, low=low, feedback=feedback))
                for number, prompt, dice in found:
                    line = {"variant": name + suffix, "seed": seed, "object": number, "prompt": prompt, "dice": dice}
                    file.write(json.dumps(line) + "\n")

    def _data(self, store: Examples, options: TrainOptions) -> tuple[list[Example], list[Example]]:
        examples: list[Example] = []
        cases: list[Example] = []
        counts = sources.shares([source for source, *_ in self._splits], options.windows)
        held_out = [(source, rows) for source, _, rows in self._splits if rows]
        for (source, train, _), count in zip(self._splits, counts, strict=True):
            examples.extend(store.draw(source, train, count, 0))
        for source, rows in held_out:
            cases.extend(validation.cases(store, source, rows, -(-options.validation_objects // len(held_out)), 0))
        return examples, cases


def _ask(
    trainer: Trainer, store: Examples, cases: list[Example], *, low: bool, feedback: bool
) -> Iterator[tuple[int, str, float]]:
    """(object, clicks, Dice in window pixels) of the averaged weights."""
    with trainer.average.applied():
        answer = validation.network_answer(trainer.network, store, low=low, additions=trainer.joined)
        for number, case in enumerate(cases):
            for answered in validation.answers(answer, case, store.image_size, feedback=feedback):
                yield number, answered.prompt, answered.dice


def _read(out: Path) -> dict[tuple[str, str], dict[int, dict[int, float]]]:
    """Dice by (variant, prompt), seed and object."""
    found: dict[tuple[str, str], dict[int, dict[int, float]]] = {}
    path = out / "answers.jsonl"
    for text in path.read_text().splitlines() if path.exists() else ():
        line = json.loads(text)
        seeds = found.setdefault((line["variant"], line["prompt"]), {})
        seeds.setdefault(line["seed"], {})[line["object"]] = line["dice"]
    return found


def _difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> str:
    """Mean paired difference of two tables [seeds, objects], with its interval."""
    random, paired = np.random.default_rng(0), one - other
    seeds, objects = paired.shape
    means = [
        paired[np.ix_(random.integers(seeds, size=seeds), random.integers(objects, size=objects))].mean()
        for _ in range(_RESAMPLES)
    ]
    low, high = np.percentile(means, _INTERVAL)
    return f"{paired.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


@click.group()
def main() -> None:
    """Compare choices in the training of clicks."""


@main.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("manifests", nargs=-1, required=True)
@click.option("--steps", default=200, show_default=True)
@click.option("--seed", "seeds", type=int, multiple=True, default=(0, 1, 2), show_default=True)
@click.option("--only", type=click.Choice(list(VARIANTS)), multiple=True, default=tuple(VARIANTS))
def run(out: Path, manifests: tuple[str, ...], steps: int, seeds: tuple[int, ...], only: tuple[str, ...]) -> None:
    """Run what is not in OUT yet, on one CPU thread."""
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    parts = [text.partition("=") for text in manifests]
    study = Study(out, [Source(Path(name), float(weight or 1)) for name, _, weight in parts], steps)
    for seed in seeds:
        for name in only:
            if seed not in _read(out).get((name, "1"), {}):
                study.run(name, seed)


@main.command()
@click.argument("out", type=click.Path(exists=True, path_type=Path))
def table(out: Path) -> None:
    """Print what OUT holds as a table."""
    found = _read(out)
    click.echo("| variant | clicks | seeds | Dice | least, greatest seed | against control |")
    click.echo("|---|---|---|---|---|---|")
    for (variant, prompt), by_seed in found.items():
        seeds = sorted(set(by_seed) & set(found["control", prompt]))
        if not seeds:
            continue
        ours, control = (
            np.array([[of[seed][number] for number in sorted(of[seed])] for seed in seeds])
            for of in (by_seed, found["control", prompt])
        )
        means = ours.mean(axis=1)
        spread = f"{means.mean():.3f} | {means.min():.3f}, {means.max():.3f}"
        against = "" if variant == "control" else _difference(ours, control)
        click.echo(f"| {variant} | {prompt} | {len(seeds)} | {spread} | {against} |")


if __name__ == "__main__":
    main()
