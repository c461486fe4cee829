"""`wsisam export`: annotations as files of other programs."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

import click

from wsisam_server.cli.slide import named_slide, slide_options
from wsisam_server.cli.store import opened, place_options
from wsisam_server.formats import FormatError, coco, geojson
from wsisam_server.store import SlideRecord, Wanted, listed
from wsisam_server.whole_file import write_whole

if TYPE_CHECKING:
    from wsisam_server.cli.connection import Reach
    from wsisam_server.store import Annotation, Store


@click.command("export")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "kind",
    type=click.Choice(["geojson", "coco"]),
    default="geojson",
    show_default=True,
    help="geojson: QuPath's own, one file for each slide. coco: one file for all.",
)
@slide_options
@click.option("--project", help="Only those of this project.")
@click.option("--class", "path_class", metavar="NAME", help="Only those of this class.")
@click.option("--author", help="Only those last changed by this author.")
@place_options
def command(
    *,
    out: Path,
    kind: str,
    slide: str | None,
    slide_id: str | None,
    project: str | None,
    path_class: str | None,
    author: str | None,
    store: str,
    server: str | None,
    reach: Reach,
) -> None:
    """Write annotations to a file for QuPath (drag it onto the slide) or for training.

    OUT is a file, or a folder that takes one file for each slide.

    Example: wsisam export annotations.geojson --slide case-7.svs
    """
    named = named_slide(slide, slide_id, server, reach)
    wanted = Wanted(
        slide_id=None if named is None else named.slide_id, project=project, author=author, path_class=path_class
    )
    with opened(store, server, reach, existing=True) as place:
        annotations = list(listed(place, wanted)[0].values())
        slides = _slides(place, annotations, named)
    if not annotations:
        raise click.ClickException("there are no such annotations; nothing was written")
    try:
        if kind == "coco":
            _coco(out, annotations, slides)
        else:
            _geojson(out, annotations, slides)
    except FormatError as error:
        raise click.ClickException(str(error)) from error


def _slides(store: Store, annotations: list[Annotation], named: SlideRecord | None) -> list[SlideRecord]:
    known = store.slides({one.content.slide_id for one in annotations})
    if named is None:
        return known
    # What the file itself says goes before what the store was told.
    return [SlideRecord(named.slide_id, record.uris or named.uris, named.size or record.size) for record in known]


def _geojson(out: Path, annotations: list[Annotation], slides: list[SlideRecord]) -> None:
    if out.is_dir():
        names = _names(slides)
    elif len(slides) == 1:
        names = {slides[0].slide_id: out.name}
        out = out.parent
    else:
        raise click.UsageError(
            f"the annotations are on {len(slides)} slides, and a GeoJSON file is of one: name a slide with --slide, or "
            "a folder as OUT"
        )
    for record in slides:
        of_slide = [one for one in annotations if one.content.slide_id == record.slide_id]
        _write(out / names[record.slide_id], geojson.write(of_slide), len(of_slide))


def _names(slides: list[SlideRecord]) -> dict[str, str]:
    """A file name for each slide: its own, or where two share one, its id's beginning, too."""
    stems = {record.slide_id: _stem(record) for record in slides}
    shared = Counter(stems.values())
    return {
        slide_id: f"{stem}-{re.sub(r'[^A-Za-z0-9]', '', slide_id)[:12]}.geojson"
        if shared[stem] > 1
        else f"{stem}.geojson"
        for slide_id, stem in stems.items()
    }


def _stem(record: SlideRecord) -> str:
    place = unquote(record.uris[-1] if record.uris else record.slide_id)
    name = PurePosixPath(place.replace("\\", "/")).name
    return re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", name) or "slide"


def _coco(out: Path, annotations: list[Annotation], slides: list[SlideRecord]) -> None:
    if out.is_dir():
        raise click.UsageError(f"{out} is a folder; name a file")
    text, left_out = coco.write(annotations, slides)
    _write(out, text, len(annotations) - left_out.total())
    for what, count in left_out.items():
        click.echo(f"left out: {count} {what}", err=True)


def _write(path: Path, text: str, count: int) -> None:
    """Writes a file whole, or not at all: a reader never sees half of one."""
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error
    click.echo(f"{path}: {count} annotations")
