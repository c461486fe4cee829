"""`wsisam import`: annotations of other programs into the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import shapely

from wsisam_server.annotations.formats import parsed, reading, values
from wsisam_server.annotations.store import digest
from wsisam_server.cli.annotation_files import FileEntry, read_annotations
from wsisam_server.cli.commit import user_name
from wsisam_server.cli.importer import Importer
from wsisam_server.cli.slide import NamedSlide, located_slide, slide_options
from wsisam_server.cli.storable import SHOWN, storable
from wsisam_server.cli.store import opened, place_options

if TYPE_CHECKING:
    import uuid

    from wsisam_server.annotations.formats.reading import Origin
    from wsisam_server.annotations.store import SlideRecord, Store
    from wsisam_server.cli.connection import ConnectionOptions
    from wsisam_server.core.geometry import SlideSize

_HINT = "name its file with --slide, or say where with --offset X,Y (0,0 where the frame is the image)"


def _offset(_: click.Context, __: click.Parameter, value: str | None) -> tuple[float, float] | None:
    if value is None:
        return None
    try:
        x, y = map(float, value.split(","))
    except ValueError:
        raise click.BadParameter("give two numbers, X,Y, level-0 pixels") from None
    return x, y


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@slide_options
@click.option(
    "--format",
    "kind",
    type=click.Choice(["auto", *reading.KINDS]),
    default="auto",
    show_default=True,
    help="geojson: QuPath's own. asap, imagescope: XML of ASAP or Aperio ImageScope. auto: by what is in the file.",
)
@click.option("--project", default="", help="What they belong to.")
@click.option("--author", default=user_name, help="Who stores them; you, if not given.")
@click.option("--update", is_flag=True, help="Let the file win where the store has another version. Both are kept.")
@click.option("--repair", "mend", is_flag=True, help="Make shapes valid that cross themselves.")
@click.option(
    "--new-ids", is_flag=True, help="Give annotations new ids where theirs come twice or lie on another slide."
)
@click.option(
    "--outside",
    type=click.Choice(["refuse", "keep"]),
    default="refuse",
    show_default=True,
    help="When more than half of them lie wholly outside the slide. Fewer are kept, and said.",
)
@click.option(
    "--offset",
    metavar="X,Y",
    callback=_offset,
    help="For XML, on a slide whose file is not here: where its image begins in the whole scanned frame (OpenSlide's "
    "bounds-x and bounds-y).",
)
@place_options
def command(
    *,
    files: tuple[Path, ...],
    slide: str | None,
    slide_id: str | None,
    kind: str,
    project: str,
    author: str,
    update: bool,
    mend: bool,
    new_ids: bool,
    outside: str,
    offset: tuple[float, float] | None,
    store: str,
    server: str | None,
    connection: ConnectionOptions,
) -> None:
    """Store the annotations in files of QuPath, ASAP or ImageScope.

    All are on one slide. Files may be packed as .gz or .zip. Importing a file again changes nothing. An annotation
    keeps its id; one without any gets one that follows from what it says. What cannot be stored is left out and
    counted, and the rest is stored.

    Example: wsisam import annotations.geojson --slide case-7.svs
    """
    if not author:
        raise click.UsageError("your user has no name; say who stores them with --author")
    for option, text in (("--project", project), ("--author", author), ("--slide-id", slide_id or "")):
        if not values.is_text(text):  # bytes that the terminal's encoding does not know
            raise click.UsageError(f"{option} has a character that is no text; type it anew")
    named = located_slide(slide, slide_id, server, connection)
    if named is None:
        raise click.UsageError("say which slide they are on, with --slide or --slide-id")
    record = named.record
    entries: list[FileEntry] = []
    left_out = 0
    for path in files:
        more, lost = read_annotations(
            path, record.slide_id, project, origin=_origin(named, offset), kind=kind, hint=_HINT
        )
        entries += more
        left_out += lost
    entries, repeated = _once(entries, record.slide_id, new_ids=new_ids)
    entries, lost = storable(entries, mend=mend)
    left_out += repeated + lost
    if not entries:
        raise click.ClickException("there are no annotations in it; nothing was stored" + _counted(left_out))
    with opened(store, server, connection) as place:
        _check_outside(entries, _size(place, record), keep=outside == "keep")
        importing = Importer(place, record, author, update=update, new_ids=new_ids)
        done = importing.save(entries)
    click.echo(
        f"{done.new} new annotations, {done.changed} changed, {done.same} as they were"
        + _counted(left_out + done.left_out)
    )
    if not done.saved:
        raise click.ClickException("nothing was stored")


def _counted(left_out: int) -> str:
    return f", {left_out} left out" if left_out else ""


def _origin(named: NamedSlide, offset: tuple[float, float] | None) -> Origin:
    known = named.frame_origin
    if known is not None and offset is not None and offset != known:
        x, y = known
        raise click.UsageError(f"the slide's file says that its image begins at {x:g},{y:g}; leave out --offset")
    return lambda: offset if known is None else known


def _once(entries: list[FileEntry], slide_id: str, *, new_ids: bool) -> tuple[list[FileEntry], int]:
    """Each annotation once, files may overlap; and how many were left out because their ids are others'."""
    taken: dict[uuid.UUID, FileEntry] = {}
    repeated = 0
    other: list[tuple[FileEntry, FileEntry]] = []
    for entry in entries:
        first = taken.setdefault(entry.draft.id, entry)
        if first is entry:
            continue
        if digest(first.draft.content) == digest(entry.draft.content):
            repeated += 1
        elif new_ids:
            repeated += not _add_anew(taken, entry, slide_id)
        else:
            other.append((first, entry))
    for first, entry in other[:SHOWN]:
        click.echo(f"{entry.place}: its id is there twice, and not for the same: {first.place}", err=True)
    if other:
        click.echo(
            f"left out: {len(other)} annotations with the id of another one. Give them ids of their own with --new-ids",
            err=True,
        )
    if repeated:
        click.echo(f"left out: {repeated} annotations that are there twice and say the same", err=True)
    return list(taken.values()), repeated + len(other)


def _add_anew(taken: dict[uuid.UUID, FileEntry], entry: FileEntry, slide_id: str) -> bool:
    """Adds an annotation under an id of its own, unless the same is there already."""
    number = 1
    while True:
        anew = parsed.replacement_id(slide_id, entry.draft.id, number)
        first = taken.setdefault(anew, entry.under(anew))
        if first.place == entry.place:
            return True
        if digest(first.draft.content) == digest(entry.draft.content):
            return False
        number += 1


def _size(place: Store, record: SlideRecord) -> SlideSize | None:
    if record.size is not None:
        return record.size
    return next((known.size for known in place.slides({record.slide_id})), None)


def _check_outside(entries: list[FileEntry], size: SlideSize | None, *, keep: bool) -> None:
    """Annotations of another slide's file mostly lie beyond this one."""
    if size is None:
        return
    shapes = [entry.draft.content.shape for entry in entries]
    outside = ~shapely.intersects(shapely.box(0, 0, size.width, size.height), shapes)
    count = int(outside.sum())
    said = f"{count} of {len(entries)} annotations lie wholly outside the slide ({size.width} x {size.height} px)"
    if 2 * count > len(entries) and not keep:
        raise click.ClickException(
            f"{said}; they seem to be another slide's, and nothing was stored. If they are this slide's, say so with "
            "--outside keep"
        )
    if count:
        places = [entry.place for entry, out in zip(entries, outside.tolist(), strict=True) if out]
        more = ", ..." if count > SHOWN else ""
        click.echo(f"{said}; they are kept: {'; '.join(places[:SHOWN])}{more}", err=True)
