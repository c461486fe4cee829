"""`wsisam number-types`: whether the encoder may run in bfloat16."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from wsisam_server.cli.extras import need
from wsisam_server.cli.interruption import on_stop
from wsisam_server.cli.model import load_model, model_options
from wsisam_server.cli.outputs import OutputFile
from wsisam_server.cli.progress import counted
from wsisam_server.cli.sets import additions_of, of_sets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsisam_model import WsiSam
    from wsisam_model.number_types import TypeFinding
    from wsisam_server.learning.datasets import Row
    from wsisam_server.learning.evaluation import Kept

console = Console(stderr=True)


@click.command("number-types")
@of_sets
@click.option(
    "--out",
    type=OutputFile(),
    required=True,
    help="Where to write the additions with what was found. It may be the file that --additions names.",
)
@click.option(
    "--journals",
    type=click.Path(file_okay=False, path_type=Path),
    help="Record each object in this folder at once. After a stop, the same command resumes.",
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
    journals: Path | None,
    **model: Any,
) -> None:
    """Find out whether the image encoder may run in bfloat16, which is faster on some processors.

    Asks for the objects of each MANIFEST twice, with the encoder in float32 and in bfloat16: by box, by 1, 3 and 5
    clicks, and by as many clicks as an IoU of .85 takes. Compares both with what is drawn, and writes the additions
    again with the differences. A server then runs the encoder in bfloat16 where no set loses by it. Use objects that
    the additions were not trained on, and a processor that has bfloat16.

    Example: wsisam number-types nuclei.csv glands.csv --additions ours.safetensors --out ours.safetensors
    """
    need("train", "wsisam number-types")
    import torch

    from wsisam_model import WsiSamError
    from wsisam_model.number_types import TypeFinding
    from wsisam_server.inference.encoders import EncoderError, Processor
    from wsisam_server.inference.encoders.at_once import run_at_once
    from wsisam_server.learning.datasets import DatasetError, read_manifest
    from wsisam_server.learning.evaluation import JournalError, compared
    from wsisam_server.learning.training import TrainingError, with_number_types

    if not Processor.here().has_bfloat16:
        raise click.ClickException("this processor has no bfloat16: run it where the server shall run")
    try:
        source = additions_of(**model)
        sets = [(manifest, read_manifest(manifest, split=split)) for manifest in manifests]
        if len({manifest.stem for manifest in manifests}) < len(manifests):
            raise click.UsageError("two manifests have one name; what is found is written by their names")
        threads = model["threads"] or torch.get_num_threads()
        with console.status("loading the model, and compiling its encoder twice"):
            # What reads them is compiled here, in both types; torch's own differs from OpenVINO's float32 by 1e-6.
            loaded = load_model(**model | {"encoder": "torch"})
            runners = run_at_once(loaded, ("float32", "bfloat16"), threads)
        dice, clicks = {}, {}
        with on_stop(lambda: _kept(journals)):
            for manifest, rows in sets:
                kept = {}
                for number_type, runner in runners.items():
                    loaded.encoder_runner = runner
                    kept[number_type] = _asked(
                        loaded,
                        manifest,
                        rows,
                        journals,
                        number_type,
                        max_objects=max_objects,
                        seed=seed,
                        connected_parts=connected_parts,
                    )
                dice[manifest.stem], clicks[manifest.stem] = compared(kept["float32"], kept["bfloat16"], seed)
        finding = TypeFinding(dice, clicks)
        with_number_types(source, out, {"bfloat16": finding})
    except (DatasetError, EncoderError, JournalError, TrainingError, WsiSamError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"cannot write: {error}") from error
    _show(finding)
    as_good = "as good as float32" if finding.is_as_good else "not as good as float32: it will not be used"
    click.echo(f"on these objects bfloat16 is {as_good}")
    click.echo(f"written: {out}")


def _asked(
    model: WsiSam,
    manifest: Path,
    rows: Sequence[Row],
    journals: Path | None,
    number_type: str,
    *,
    max_objects: int,
    seed: int,
    connected_parts: bool,
) -> Kept:
    from wsisam_server.learning.evaluation import KINDS, EvaluationOptions, Journal, Kept, evaluate, identity_of

    options = EvaluationOptions(
        prompts=KINDS, max_objects=max_objects, seed=seed, connected_parts=connected_parts, finish=True, noc=True
    )
    kept = Kept()
    if journals is not None:
        journals.mkdir(parents=True, exist_ok=True)
        identity = identity_of(model, manifest, number_type=number_type, seed=seed, connected_parts=connected_parts)
        kept.journal = Journal(journals / f"{manifest.stem}.{number_type}.journal", identity)
    with counted(console, f"{manifest.stem}, {number_type}") as progress:
        evaluate(model, rows, options, journal=kept, progress=progress)
    return kept


def _kept(journals: Path | None) -> str:
    if journals is None:
        return "nothing is kept. With --journals FOLDER, each object is noted at once, and the same command goes on"
    return f"the objects that were measured are noted in {journals}. The same command goes on from there"


def _show(finding: TypeFinding) -> None:
    table = Table("set", "prompt", "n", "Dice, bfloat16 less float32", "lower end")
    for of_set, kinds in finding.dice.items():
        for kind, one in kinds.items():
            table.add_row(of_set, kind, str(one.objects), f"{one.mean:+.4f}", f"{one.low:+.4f}")
        table.add_row(of_set, "clicks to IoU .85", "", f"{finding.clicks[of_set]:+.2f}", "")
    Console().print(table)
