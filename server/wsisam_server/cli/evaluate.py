"""`wsisam evaluate`: how well a model answers boxes and clicks, on drawn objects."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from wsisam_server.cli.extras import need
from wsisam_server.cli.interruption import on_stop
from wsisam_server.cli.model import for_measuring, load_model, model_options
from wsisam_server.cli.numbers import Number
from wsisam_server.cli.outputs import OutputFile, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsisam_model import WsiSam
    from wsisam_server.learning.datasets import Row
    from wsisam_server.learning.evaluation import EvaluationOptions, EvaluationReport, Journal, WorstCases

console = Console(stderr=True)

PLOT_FORMATS = (".png", ".svg", ".pdf")
OUTPUT = OutputFile()


@click.command("evaluate")
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--against", type=click.Choice(["sam"]), help="Report the frozen SAM beside the model.")
@click.option(
    "--prompts",
    default="box,1,3,5,10",
    show_default=True,
    help="Kinds of prompt: box, a number of clicks, shape (a crude outline), box+1 and shape+1 (and a click that "
    "corrects it), and of a first click's candidates the chosen and the best one.",
)
@click.option(
    "--max-objects", type=click.IntRange(1), help="Evaluate a random sample of this many objects. Not given: all."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all random choices.")
@click.option(
    "--context",
    type=Number(1, 16),
    default=2.0,
    show_default=True,
    help="The annotator's view, in lengths of the object.",
)
@click.option("--split", help="Only the manifest's rows of this split.")
@click.option("--connected-parts", is_flag=True, help="The masks are binary. Each connected part is an object.")
@click.option("--no-feedback", is_flag=True, help="Do not feed the previous answer's logits to the next click.")
@click.option(
    "--finish",
    is_flag=True,
    help="Finish masks as the server does: clicks honoured, stray parts left out. Not given: the model alone.",
)
@click.option("--noc", is_flag=True, help="Count the clicks to an IoU of 85 and 90 %, at most 20. Takes longer.")
@click.option(
    "--jitter",
    type=click.IntRange(0, 20),
    default=0,
    show_default=True,
    help="Repeat each box and first click as so many other people would set it, and report how much the answers agree.",
)
@click.option(
    "--journal",
    "journal_path",
    type=OUTPUT,
    help="Record each object here at once. After a stop, the same command with the same file resumes.",
)
@click.option(
    "--json", "json_path", type=OutputFile(text=True), help="Write the numbers here. '-': to standard output."
)
@click.option("--plot", "plot_path", type=OUTPUT, help="Write a picture of them here (PNG, SVG or PDF).")
@click.option(
    "--sheet",
    "sheet_path",
    type=OUTPUT,
    help="Only check the data: draw its objects on its images here (PNG), and list what looks wrong.",
)
@click.option(
    "--worst", type=click.Path(file_okay=False, path_type=Path), help="Write pictures of the worst answers here."
)
@model_options
def command(
    *,
    manifest: Path,
    against: str | None,
    prompts: str,
    max_objects: int | None,
    seed: int,
    context: float,
    split: str | None,
    connected_parts: bool,
    no_feedback: bool,
    finish: bool,
    noc: bool,
    jitter: int,
    journal_path: Path | None,
    json_path: Path | None,
    plot_path: Path | None,
    sheet_path: Path | None,
    worst: Path | None,
    **model: Any,
) -> None:
    """Measure a model on the objects drawn on the images of a manifest.

    MANIFEST is a CSV file with the columns image,mask and, if wanted, mpp and split. A mask is a label image of the
    image's size: 0 is background, each other value one object.

    With --sheet, look at the data before you train or measure. Inverted masks, grey backgrounds and masks that do not
    fit their image each spoil a model.

    Example: wsisam evaluate val.csv --prompts box,1,3 --max-objects 100 --json val.json --plot val.png
    """
    need("server", "wsisam evaluate")
    from wsisam_server.learning.datasets import DatasetError, read_manifest
    from wsisam_server.learning.evaluation import EvaluationOptions, JournalError, WorstCases, plot

    _check_plot(plot_path)
    if sheet_path is not None:
        _look(manifest, split, sheet_path, connected_parts=connected_parts)
        return
    try:
        options = EvaluationOptions(
            prompts=tuple(part.strip() for part in prompts.split(",")),
            max_objects=max_objects,
            seed=seed,
            context=context,
            feedback=not no_feedback,
            connected_parts=connected_parts,
            against_sam=against is not None,
            noc=noc,
            finish=finish,
            jitter=jitter,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    pictures = WorstCases()
    try:
        rows = read_manifest(manifest, split=split)
        with console.status("loading the model"):
            loaded = load_model(**for_measuring(model))
        encoder_type = for_measuring(model)["encoder_type"]
        journal = (
            None if journal_path is None else _journal(journal_path, loaded, encoder_type, manifest, split, options)
        )
        with on_stop(lambda: _kept(journal_path)):
            report = _run(loaded, rows, options, None if worst is None else pictures, journal)
        numbers = report.to_json() | {"manifest": str(manifest), "split": split}
        if json_path is not None:
            write_json(json_path, numbers, indent=1)
        if plot_path is not None:
            plot(report, plot_path)
        if worst is not None:
            pictures.write(worst)
    except (DatasetError, JournalError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"cannot write: {error}") from error
    _show(report)


def _kept(journal: Path | None) -> str:
    """What an evaluation that was stopped has left, and how to go on."""
    if journal is None:
        return "nothing is kept. With --journal FILE, each object is noted at once, and the same command goes on"
    return f"the objects that were measured are noted in {journal}. The same command goes on from there"


def _look(manifest: Path, split: str | None, path: Path, *, connected_parts: bool) -> None:
    from wsisam_server.learning.datasets import DatasetError, read_manifest
    from wsisam_server.learning.evaluation import contact_sheet

    if path.suffix.lower() != ".png":
        raise click.UsageError(f"--sheet {path}: the name must end in .png")
    try:
        rows = read_manifest(manifest, split=split)
        with console.status("reading the images"):
            sheet, findings = contact_sheet(rows, connected_parts=connected_parts)
        sheet.save(path)
    except DatasetError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"cannot write: {error}") from error
    for finding in findings:
        click.echo(finding)
    click.echo(f"{path}: {len(rows)} images, {len(findings) or 'no'} warnings")


def _journal(
    path: Path, model: WsiSam, encoder_type: str, manifest: Path, split: str | None, options: EvaluationOptions
) -> Journal:
    from wsisam_server.learning.evaluation import Journal, identity_of

    # a larger draw holds the smaller one
    drawn = {name: value for name, value in asdict(options).items() if name != "max_objects"}
    return Journal(path, identity_of(model, manifest, encoder=encoder_type, split=split, options=drawn))


def _check_plot(plot_path: Path | None) -> None:
    """What would otherwise fail after hours."""
    if plot_path is None:
        return
    if plot_path.suffix not in PLOT_FORMATS:
        raise click.UsageError(f"--plot {plot_path}: the name must end in one of {', '.join(PLOT_FORMATS)}")
    need("train", "--plot")


def _run(
    model: WsiSam, rows: Sequence[Row], options: EvaluationOptions, pictures: WorstCases | None, journal: Journal | None
) -> EvaluationReport:
    from wsisam_server.learning.evaluation import evaluate

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task("reading the masks", total=None)

        def progress(done: int, total: int) -> None:
            bar.update(task, description="objects", completed=done, total=total)

        return evaluate(model, rows, options, progress=progress, listener=pictures, journal=journal)


def _show(report: EvaluationReport) -> None:
    count = report.results[0].n
    table = Table(title=f"{report.model}: {count} of {report.objects_found} objects, {report.images} images")
    for name in ("variant", "prompt", "Dice", "95 % interval", "IoU"):
        table.add_column(name, justify="left" if name in {"variant", "prompt"} else "right")
    for found in report.results:
        low, high = found.ci
        table.add_row(found.variant, found.prompt, f"{found.dice:.3f}", f"{low:.3f} - {high:.3f}", f"{found.iou:.3f}")
    out = Console()
    out.print(table)
    for gain in report.differences:
        out.print(
            f"{gain.variant} over {gain.against}, {gain.prompt}: "
            f"{gain.dice:+.3f} Dice [{gain.ci[0]:+.3f}, {gain.ci[1]:+.3f}]",
            highlight=False,
            markup=False,
        )
    for sums in report.interaction:
        out.print(_sums(sums), highlight=False, markup=False)
    for sums in report.answers:
        if line := _answer_sums(sums):
            out.print(line, highlight=False, markup=False)
    if report.images_without_objects:
        click.echo(f"{report.images_without_objects} images have no object and were skipped", err=True)
    if report.variants == ("sam",):
        click.echo(f"{report.model} answers as its frozen SAM does: there is no HR or LR variant to report", err=True)


def _sums(sums: dict[str, Any]) -> str:
    """One line of what a variant is like to work with."""
    parts = [f"{share:.0%} {kind} after {count}" for count, kind, share in _honoured(sums) if share is not None]
    line = f"{sums['variant']}: clicks honoured: {', '.join(parts)}"
    if sums["worse"] is not None:
        line += f"; {sums['worse']:.1%} of {sums['steps']} further clicks cost more than 0.05 Dice"
    for target in (85, 90):
        if f"noc{target}" in sums:
            line += f"; NoC@{target} {sums[f'noc{target}']:.1f}, {sums[f'failed{target}']:.0%} failed"
    return line


def _answer_sums(sums: dict[str, Any]) -> str:
    """One line of what was asked for beside the overlap of a kind of prompt; empty where nothing was."""
    parts = []
    if "worse" in sums:
        parts.append(f"the click costs more than 0.05 Dice of {sums['worse']:.1%} of the objects")
    if sums["agreement"] is not None:
        parts.append(f"mean IoU with the answers to other hands {sums['agreement']:.3f}")
    return f"{sums['variant']}, {sums['prompt']}: {'; '.join(parts)}" if parts else ""


def _honoured(sums: dict[str, Any]) -> list[tuple[str, str, float | None]]:
    return [(count, kind, share) for count, kinds in sums["honoured"].items() for kind, share in kinds.items()]
