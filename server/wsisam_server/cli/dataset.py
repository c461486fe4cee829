"""`wsisam dataset`: annotated slides as images, label images and a manifest."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from wsisam_server.annotations.store import AnnotationFilter, class_name, store_name
from wsisam_server.annotations.sync.process import QuPathProcess
from wsisam_server.cli.connection import ConnectionOptions, connection_options
from wsisam_server.cli.deidentification import deidentify_options, tell
from wsisam_server.cli.interruption import on_stop
from wsisam_server.cli.pixel_size import pixel_size_option
from wsisam_server.cli.progress import counted
from wsisam_server.cli.store import opened
from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.learning.dataset_export import (
    ClassFilter,
    DatasetExportError,
    ExportOptions,
    SlideFinder,
    make,
    read_project,
    read_store,
)

if TYPE_CHECKING:
    from wsisam_server.annotations.formats.deidentifying import Deidentifier
    from wsisam_server.learning.dataset_export import AnnotationSet, ExportReport

console = Console(stderr=True)

_ADDRESS = re.compile(r"(?i:https?://.+)|(\[[0-9A-Fa-f:.]+\]|[\w.-]+):\d{1,5}/?")
"""A server, and no file: with a port, or with what encrypts."""


@click.command("dataset")
@click.argument("source", metavar="PROJECT_OR_STORE")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--class", "classes", metavar="NAME", multiple=True, help="Only this class; repeatable.")
@click.option(
    "--keep-ignored",
    is_flag=True,
    help="Also what QuPath ignores: classes whose names end in *, as Region* and Ignore*.",
)
@click.option("--project", help="Of a store: only annotations of this project.")
@click.option("--author", help="Of a store: only those last changed by this author.")
@click.option("--since", type=click.IntRange(0), help="Of a store: only those changed after this revision.")
@click.option(
    "--slides",
    "folders",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder to search for slides that are not where they were annotated; repeatable.",
)
@click.option("--window", type=int, default=1024, show_default=True, help="Side of the image windows in pixels.")
@click.option("--mpp", type=float, help="Their resolution, microns per pixel; the slide's own if not given.")
@pixel_size_option()
@click.option("--val", type=float, default=0.2, show_default=True, help="Share of the slides that validate.")
@click.option(
    "--case",
    metavar="REGEX",
    help="What it finds in a slide's name is its case, and a case is never split: '^[^_]+' for what stands before _.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Which slides validate.")
@deidentify_options
@connection_options
def command(
    *,
    source: str,
    out: Path,
    classes: tuple[str, ...],
    keep_ignored: bool,
    project: str | None,
    author: str | None,
    since: int | None,
    folders: tuple[Path, ...],
    deidentifier: Deidentifier | None,
    connection: ConnectionOptions,
    **wanted: Any,
) -> None:
    """Write annotated slides as images, label images and a manifest, for `wsisam train` and `evaluate`.

    PROJECT_OR_STORE is a store (a SQLite file or a postgresql:// URL), a server (HOST:PORT), or a QuPath project, of
    which what is saved is seen (it takes paquo and a QuPath on this machine). OUT takes manifest.csv, labels.csv (which
    annotation, of which revision, each label is), dataset.json, and two folders of PNG files.

    Each object is whole in one window, and is drawn there only; where objects overlap, the window has several label
    images. A slide, or a case, either trains or validates. Running the command again goes on where it was ended.
    Annotations of classes such as Region* and Ignore* are no objects: they are left out, unless --class names them.

    Example: wsisam dataset annotations.sqlite glands --class Gland
    """
    try:
        options = ExportOptions(**wanted)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    of_store = {"project": project, "author": author, "since": since}
    try:
        class_filter = ClassFilter(frozenset(map(class_name, classes)), ignored=keep_ignored)
        annotation_set = _read_annotations(source, connection, class_filter, of_store)
        with on_stop(lambda: _kept(out)), counted(console, "windows") as progress:
            report = make(annotation_set, SlideFinder(folders), out, options, progress, deidentifier)
    except DatasetExportError as error:
        raise click.ClickException(str(error)) from error
    except WsiSamServerError as error:
        raise click.ClickException(f"{error.public_text} {error.private}".strip()) from error
    _show(report)
    tell(deidentifier)


def _kept(out: Path) -> str:
    """What a data set that was stopped has left, and how to go on."""
    return (
        f"the windows that were written stay in {out}, but manifest.csv does not name them yet. The same command "
        "goes on from there"
    )


def _read_annotations(
    source: str, connection: ConnectionOptions, class_filter: ClassFilter, of_store: dict[str, Any]
) -> AnnotationSet:
    path = Path(source)
    if path.suffix == ".qpproj" or (path / "project.qpproj").is_file():
        return _of_project(path, class_filter, of_store)
    server = source if _ADDRESS.fullmatch(source) and not path.exists() else None
    if server is None and "://" not in source and not path.is_file():
        raise click.ClickException(f"{source}: there is no such store and no such project")
    since = of_store.pop("since") or 0
    with console.status("reading annotations"), opened(source, server, connection, existing=True) as store:
        found = read_store(store, AnnotationFilter(**of_store), class_filter=class_filter, since=since)
    said = {"where": server or store_name(source), **_said(class_filter), "since": since, **of_store}
    return replace(found, source={**said, **found.source})


def _of_project(path: Path, class_filter: ClassFilter, of_store: dict[str, Any]) -> AnnotationSet:
    given = [name for name, value in of_store.items() if value is not None]
    if given:
        raise click.UsageError(f"--{given[0]} chooses among a store's annotations; a project's have only classes")
    with console.status("reading the project with QuPath"):
        found = read_project(path, QuPathProcess(), class_filter=class_filter)
    return replace(found, source={**_said(class_filter), **found.source})


def _said(class_filter: ClassFilter) -> dict[str, Any]:
    return {"classes": sorted(class_filter.classes), "ignored_classes": "kept" if class_filter.ignored else "left out"}


def _show(report: ExportReport) -> None:
    shown = Table(title=str(report.manifest))
    for name in ("split", "slides", "windows", "label images", "objects"):
        shown.add_column(name, justify="left" if name == "split" else "right")
    for split in sorted(report.slides):
        counts = (report.slides, report.windows, report.label_images, report.objects)
        shown.add_row(split, *(str(count[split]) for count in counts))
    Console().print(shown)
    for why, count in report.left_out.items():
        click.echo(f"left out: {count} annotations {why}", err=True)
    for name, why in report.missing.items():
        click.echo(f"left out: the slide {name}: {why}", err=True)
    for name, why in report.duplicates.items():
        click.echo(f"left out: the image {name}: {why}", err=True)
    for note in report.notes:
        click.echo(f"note: {note}", err=True)
    if report.reused:
        click.echo(f"{report.reused} files were there already")
    if report.unnamed:
        click.echo(f"{report.unnamed} files of earlier runs are no longer named by the manifest")
