"""`wsisam calibrate`: scores that say what answers are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from wsisam_server.cli.extras import need
from wsisam_server.cli.model import for_measuring, load_model, model_options
from wsisam_server.cli.outputs import OutputFile
from wsisam_server.cli.progress import counted
from wsisam_server.cli.sets import additions_of, of_sets

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wsisam_server.learning.evaluation import Judged

console = Console(stderr=True)


@click.command("calibrate")
@of_sets
@click.option(
    "--out",
    type=OutputFile(),
    required=True,
    help="Where to write the calibrated additions. It may be the file that --additions names.",
)
@model_options
def command(
    *,
    manifests: Sequence[Path],
    out: Path,
    split: str,
    max_objects: int,
    seed: int,
    connected_parts: bool,
    **model: Any,
) -> None:
    """Calibrate the scores of trained additions on drawn objects.

    A model's own estimate of an answer says too much or too little, differently for boxes and clicks. This asks for the
    objects of each MANIFEST, sees how well the answers agree with what is drawn, and writes the additions again with a
    curve for each kind of answer. Masks do not change. It also finds out whether these scores choose among a click's
    candidates better than the model's own answer does. Use objects that the additions were not trained on.

    Example: wsisam calibrate nuclei.csv glands.csv --additions run/best/additions.safetensors --out ours.safetensors
    """
    need("train", "wsisam calibrate")
    from wsisam_model import WsiSamError
    from wsisam_server.learning.datasets import DatasetError, read_manifest
    from wsisam_server.learning.evaluation import fitted, judged, ranking_helps
    from wsisam_server.learning.training import TrainingError, with_calibration

    try:
        source = additions_of(**model)
        sets = [(manifest, read_manifest(manifest, split=split)) for manifest in manifests]
        with console.status("loading the model"):
            loaded = load_model(**for_measuring(model))
        answers: list[Judged] = []
        for manifest, rows in sets:
            with counted(console, manifest.stem) as progress:
                answers += judged(
                    loaded,
                    rows,
                    max_objects=max_objects,
                    seed=seed,
                    connected_parts=connected_parts,
                    progress=progress,
                )
        curves = fitted(answers)
        ranked = ranking_helps(answers, curves, seed)
        with_calibration(source, out, curves, ranked=ranked)
    except (DatasetError, TrainingError, WsiSamError) as error:
        raise click.ClickException(str(error)) from error
    except ValueError as error:
        raise click.ClickException(f"{error}. Give more objects: other manifests, or --max-objects") from error
    table = Table("answer", "n", "decoder's share", "mean overlap", "mean score")
    for kind, curve in curves.items():
        of_kind = [answer for answer in answers if answer.kind == kind]
        overlap = sum(answer.overlap for answer in of_kind) / len(of_kind)
        score = sum(curve.score(answer.estimate, answer.stability) for answer in of_kind) / len(of_kind)
        table.add_row(kind, str(len(of_kind)), f"{curve.share:g}", f"{overlap:.3f}", f"{score:.3f}")
    Console().print(table)
    by = "the highest score" if ranked else "the model's own answer: scores do not choose better on these objects"
    click.echo(f"chosen among a click's candidates: {by}")
    click.echo(f"written: {out}")
