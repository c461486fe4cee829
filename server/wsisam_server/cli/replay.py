"""`wsisam replay`: stored prompts, asked again of another model."""

from __future__ import annotations

import re
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.table import Table

from wsisam_server.annotations.store import AnnotationFilter, SlideRecord
from wsisam_server.cli.extras import need
from wsisam_server.cli.model import load_model, model_of_server, model_options
from wsisam_server.cli.outputs import OutputFile, write_json
from wsisam_server.cli.progress import counted
from wsisam_server.cli.replay_answers import answers
from wsisam_server.cli.slide import named_slide, slide_options
from wsisam_server.cli.store import opened, place_options
from wsisam_server.learning.dataset_export import DatasetExportError, SlideFinder, annotated_slide
from wsisam_server.learning.replay import ReplayReport, replay
from wsisam_server.learning.replay.pictures import picture
from wsisam_server.learning.replay.report import mean

if TYPE_CHECKING:
    from wsisam_server.annotations.store import Store
    from wsisam_server.cli.connection import ConnectionOptions

console = Console(stderr=True)

_PICTURE: Final = re.compile(r"\d{3,}_dice\d\.\d{3}_[0-9a-f-]{36}\.png")
"""As the pictures are named."""


@click.command("replay")
@slide_options
@click.option("--project", help="Only annotations of this project.")
@click.option("--class", "path_class", metavar="NAME", help="Only those of this class.")
@click.option("--author", help="Only those last changed by this author.")
@click.option("--imported", is_flag=True, help="Also those that came from QuPath or a file with their prompts.")
@click.option("--save", is_flag=True, help="Keep the new outlines, as revisions. Without it nothing is changed.")
@click.option(
    "--slides",
    "folders",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder to search for slides that are not where they were annotated; repeatable.",
)
@click.option("--json", "json_path", type=OutputFile(text=True), help="Write the report here. '-': to standard output.")
@click.option(
    "--pictures",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write pictures here, the worst first, in place of earlier ones.",
)
@click.option("--most", type=click.IntRange(1), default=24, show_default=True, help="So many pictures.")
@place_options
@model_options
def command(
    *,
    slide: str | None,
    slide_id: str | None,
    project: str | None,
    path_class: str | None,
    author: str | None,
    imported: bool,
    save: bool,
    folders: tuple[Path, ...],
    json_path: Path | None,
    pictures: Path | None,
    most: int,
    store: str,
    server: str | None,
    connection: ConnectionOptions,
    **model: Any,
) -> None:
    """Ask stored prompts again of another model, and compare the outlines with the old ones.

    The model runs in this process; with --server it is the server's, and so are the annotations. Nothing is changed
    unless --save is given; then each new outline becomes a revision by the author replay:MODEL, and the old one stays
    in the history.

    Left alone, and listed: what a person drew, what a person changed after a model drew it, what is locked, and what
    came from QuPath or a file, because nobody can tell whether it was changed there.

    Example: wsisam replay --class Gland --model our-glands --pictures compared
    """
    chosen = model if server is None else {**model, "model": model_of_server(model)}
    named = named_slide(slide, slide_id, server, connection)
    wanted = AnnotationFilter(
        slide_id=None if named is None else named.slide_id, project=project, author=author, path_class=path_class
    )
    if server is None:
        need("server", "wsisam replay without --server")
    finder = SlideFinder(folders)
    with opened(store, server, connection, existing=True) as place:
        with console.status("getting the model ready"):
            answerer = answers(server, connection, chosen, partial(load_model, **model), finder)
        with closing(answerer), counted(console, "prompts") as progress:
            report = replay(place, wanted, answerer, imported=imported, save=save, progress=progress)
        if json_path is not None:
            write_json(json_path, report.as_json(), indent=1)
        if pictures is not None:
            _draw(place, report, finder, pictures, most)
    _show(report, saved=save)


def _draw(store: Store, report: ReplayReport, finder: SlideFinder, folder: Path, most: int) -> None:
    worst = report.worst_first[:most]
    slides = {one.slide_id: one for one in store.slides({one.annotation.content.slide_id for one in worst})}
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if _PICTURE.fullmatch(path.name):  # an earlier run's, which would be taken for this one's
            path.unlink()
    for rank, one in enumerate(worst, 1):
        slide_id = one.annotation.content.slide_id
        try:
            opened_slide = finder.open(annotated_slide(slides.get(slide_id, SlideRecord(slide_id))))
        except DatasetExportError as error:
            click.echo(f"no picture of {one.annotation.id}: {error}", err=True)
            continue
        with closing(opened_slide):
            picture(opened_slide, one).save(folder / f"{rank:03d}_dice{one.dice:.3f}_{one.annotation.id}.png")


def _show(report: ReplayReport, *, saved: bool) -> None:
    table = Table(title=f"old outlines beside {report.model}'s")
    for name in ("class", "n", "mean Dice", "lowest"):
        table.add_column(name, justify="left" if name == "class" else "right")
    rows = {name or "(no class)": found for name, found in report.by_class.items()}
    for name, found in (rows | {"all": report.compared} if len(rows) > 1 else rows).items():
        lowest = min(one.dice for one in found)
        table.add_row(name, str(len(found)), f"{mean(found):.3f}", f"{lowest:.3f}")
    if report.compared:
        Console().print(table)
    for why, count in report.reasons.items():
        click.echo(f"left alone: {count} {why.value}", err=True)
    for one, text in report.problems.items():
        click.echo(f"{one}: {text}", err=True)
    truncated = sum(one.replayed.truncated for one in report.compared)
    if truncated:
        click.echo(f"{truncated} of them: border refined less finely than before, for want of windows", err=True)
    if saved:
        click.echo(f"{len(report.compared)} new revisions by replay:{report.model}")
    elif report.compared:
        click.echo("nothing was changed; --save keeps the new outlines")
    if not report.compared and not report.left_alone:
        raise click.ClickException("there are no such annotations")
