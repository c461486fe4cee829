"""`wsisam agreement`: how far two people, or a person and a model, agree about the objects of one slide."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wsisam_server.annotations.agreement import match, measure, outlined
from wsisam_server.annotations.store import AnnotationFilter, listed
from wsisam_server.cli.annotation_files import read_annotations
from wsisam_server.cli.outputs import OutputFile
from wsisam_server.cli.slide import named_slide, slide_options
from wsisam_server.cli.store import opened, place_options
from wsisam_server.core.files import write_whole
from wsisam_server.core.settings import NONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsisam_server.annotations.agreement import ClassAgreement, Measures
    from wsisam_server.annotations.store import Content
    from wsisam_server.cli.connection import ConnectionOptions

_NO_CLASS = "(no class)"


@click.command("agreement")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@slide_options
@click.option("--iou", type=click.FloatRange(0.01, 1), default=0.5, show_default=True, help="Overlap of one object.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--picture",
    type=OutputFile(),
    help="Write a picture (PNG) of the objects that only one has, and of those with different classes.",
)
@place_options
def command(
    *,
    first: str,
    second: str,
    slide: str | None,
    slide_id: str | None,
    iou: float,
    as_json: bool,
    picture: Path | None,
    store: str,
    server: str | None,
    connection: ConnectionOptions,
) -> None:
    """Tell how far A and B agree about the objects of one slide.

    A and B are files of annotations (GeoJSON of QuPath, or what 'wsisam import' reads), or users of the store, with
    --slide. Objects are the same from an intersection over union of 0.5 on. F1 says how far they agree on which objects
    there are, Dice on the outlines of the same ones, Cohen's kappa on their classes. Points and lines are left out.

    Example: wsisam agreement anna.geojson ben.geojson --picture differences.png
    """
    stored = _of_users(slide, slide_id, store, server, connection)
    a, b = (outlined(_file(name) if Path(name).is_file() else stored(name)) for name in (first, second))
    matching = match(a, b, iou)
    measures = measure(a, b, matching)
    if picture is not None:
        from wsisam_server.cli.agreement_picture import differences

        try:
            write_whole(picture, differences(a, b, matching))
        except OSError as error:
            raise click.ClickException(f"cannot write {picture}: {error.strerror or error}") from error
    click.echo(
        json.dumps(_plain(measures), indent=1, ensure_ascii=False) if as_json else _table(measures, first, second)
    )


def _file(name: str) -> list[Content]:
    return [entry.draft.content for entry in read_annotations(Path(name))[0]]


def _of_users(
    slide: str | None, slide_id: str | None, store: str, server: str | None, connection: ConnectionOptions
) -> Callable[[str], list[Content]]:
    def read(author: str) -> list[Content]:
        named = named_slide(slide, slide_id, server, connection)
        if named is None:
            raise click.UsageError(f"there is no file {author}; for a user of the store, say which slide: --slide")
        if store == NONE and server is None:
            raise click.UsageError("users' annotations are in a store: name it with --store or --server")
        chosen = AnnotationFilter(slide_id=named.slide_id, author=author)
        with opened(store, server, connection, existing=True) as place:
            found = [one.content for one in listed(place, chosen)[0].values()]
        if not found:
            raise click.ClickException(f"the store has no annotations of {author} on this slide")
        return found

    return read


def _table(measures: Measures, first: str, second: str) -> str:
    rows = [("class", "A", "B", "both", "F1", "Dice"), *map(_row, measures.classes)]
    rows.append(("all", *_row(measures.objects)[1:]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"A: {first}", f"B: {second}"]
    for name, *numbers in rows:
        aligned = [number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *aligned]))
    kappa = "not defined" if measures.kappa is None else f"{measures.kappa:.3f}"
    lines.append(f"Cohen's kappa of the classes of objects that both have: {kappa}")
    for (a, b), count in measures.confusion.items():
        if a != b:
            lines.append(f"  {count} x {a or _NO_CLASS} for A, {b or _NO_CLASS} for B")
    return "\n".join(lines)


def _row(one: ClassAgreement) -> tuple[str, ...]:
    numbers = ("-" if value is None else f"{value:.3f}" for value in (one.f1, one.dice))
    return (one.name or _NO_CLASS, str(one.first), str(one.second), str(one.both), *numbers)


def _plain(measures: Measures) -> dict[str, Any]:
    said = dataclasses.asdict(measures)
    said["confusion"] = [{"first": a, "second": b, "objects": count} for (a, b), count in measures.confusion.items()]
    return said
