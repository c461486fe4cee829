"""`wsisam export`: annotations as files of other programs."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

import click

from wsisam_server.annotations.formats import FormatError, categories, coco, geojson
from wsisam_server.annotations.store import AnnotationFilter, PathClass, SlideRecord, listed
from wsisam_server.cli.deidentification import deidentify_options, tell
from wsisam_server.cli.outputs import STANDARD_OUTPUT, OutputPlace, write_text
from wsisam_server.cli.slide import named_slide, slide_options
from wsisam_server.cli.store import opened, place_options

if TYPE_CHECKING:
    from wsisam_server.annotations.formats.deidentifying import Deidentifier
    from wsisam_server.annotations.store import Annotation, Store
    from wsisam_server.cli.connection import ConnectionOptions

_NOTHING = "there are no such annotations"


@click.command("export")
@click.argument("out", type=OutputPlace())
@click.option(
    "--format",
    "kind",
    type=click.Choice(["geojson", "coco"]),
    default="geojson",
    show_default=True,
    help="geojson: QuPath's own, one file for each slide. coco: one file for all.",
)
@click.option(
    "--categories",
    "fixed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='The ids of COCO\'s categories: an earlier export, or a JSON such as {"Stroma": 1, "Tumor": 2}.',
)
@slide_options
@click.option("--project", help="Only those of this project.")
@click.option("--class", "path_class", metavar="NAME", help="Only those of this class.")
@click.option("--author", help="Only those last changed by this author.")
@deidentify_options
@place_options
def command(
    *,
    out: Path,
    kind: str,
    fixed: Path | None,
    slide: str | None,
    slide_id: str | None,
    project: str | None,
    path_class: str | None,
    author: str | None,
    deidentifier: Deidentifier | None,
    store: str,
    server: str | None,
    connection: ConnectionOptions,
) -> None:
    """Write annotations to a file for QuPath (drag it onto the slide) or for training.

    OUT is a file, '-' for standard output, or a folder that takes one file for each slide. Where there are none now, a
    file that was written earlier becomes an empty one.

    COCO's category ids count all classes that the store has or once had, sorted by name, whichever are exported: so a
    class has the same id in each file, also after edits. A class that is new in the store moves those that follow it;
    --categories keeps the ids of an earlier export, and gives new classes the next ones.

    Example: wsisam export annotations.geojson --slide case-7.svs
    """
    if fixed is not None and kind != "coco":
        raise click.UsageError("--categories goes with --format coco")
    if kind == "coco" and out.is_dir():
        raise click.UsageError(f"{out} is a folder; name a file")
    named = named_slide(slide, slide_id, server, connection)
    annotation_filter = AnnotationFilter(
        slide_id=None if named is None else named.slide_id, project=project, author=author, path_class=path_class
    )
    try:
        ids = None if fixed is None else _fixed(fixed)
        with opened(store, server, connection, existing=True) as place:
            annotations = list(listed(place, annotation_filter)[0].values())
            slides = _slides(place, {one.content.slide_id for one in annotations}, named)
            if kind == "coco":
                _coco(out, annotations, slides, place.classes(), ids, deidentifier)
            elif out.is_dir():
                _folder(out, place, annotation_filter, annotations, named, deidentifier)
            else:
                _file(out, annotations, slides, deidentifier)
    except FormatError as error:
        raise click.ClickException(str(error)) from error
    tell(deidentifier)


def _slides(store: Store, ids: set[str], named: SlideRecord | None) -> list[SlideRecord]:
    """What is known of slides, the named one among them, in a stable order."""
    if named is None:
        known = store.slides(ids)
    else:
        record = next(iter(store.slides({named.slide_id})), named)
        # What the file itself says goes before what the store was told.
        known = [SlideRecord(named.slide_id, record.uris or named.uris, named.size or record.size)]
    return sorted(known, key=lambda record: record.slide_id)


def _file(
    out: Path, annotations: list[Annotation], slides: list[SlideRecord], deidentifier: Deidentifier | None
) -> None:
    if len(slides) > 1:
        raise click.UsageError(
            f"the annotations are on {len(slides)} slides, and a GeoJSON file is of one: name a slide with --slide, or "
            "a folder as OUT"
        )
    if not annotations:
        click.echo(_NOTHING, err=True)
    _write(out, geojson.write(_leaving(annotations, deidentifier)), len(annotations))


def _folder(
    out: Path,
    store: Store,
    annotation_filter: AnnotationFilter,
    annotations: list[Annotation],
    named: SlideRecord | None,
    deidentifier: Deidentifier | None,
) -> None:
    """One file for each slide; of a slide that has none now, only if there is one, of an earlier run."""
    if deidentifier is not None:
        _refuse_telling_names(out)
    if not annotations and named is None and not listed(store, annotation_filter, deleted=True)[0]:
        # Nor have there been any: rather than an empty result, this is a name that is not right.
        raise click.ClickException(f"{_NOTHING}; nothing was written")
    ever = listed(store, AnnotationFilter(slide_id=annotation_filter.slide_id), deleted=True)[0].values()
    slides = _slides(store, {one.content.slide_id for one in ever}, named)
    names = _names(slides) if deidentifier is None else _pseudonyms(slides, deidentifier)
    written = 0
    for record in slides:
        of_slide = [one for one in annotations if one.content.slide_id == record.slide_id]
        path = out / names[record.slide_id]
        if of_slide or named is not None or path.exists():
            _write(path, geojson.write(_leaving(of_slide, deidentifier)), len(of_slide))
            written += 1
    if not written:
        click.echo(_NOTHING, err=True)


def _leaving(annotations: list[Annotation], deidentifier: Deidentifier | None) -> list[Annotation]:
    """Annotations as they leave the lab."""
    return annotations if deidentifier is None else deidentifier.annotations(annotations)


def _refuse_telling_names(out: Path) -> None:
    """Files of an earlier export would go along, and their names are the slides'."""
    from wsisam_server.annotations.formats.deidentifying import SLIDE

    telling = [path.name for path in sorted(out.glob("*.geojson")) if not SLIDE.fullmatch(path.stem)]
    if telling:
        raise click.ClickException(
            f"{out} holds {len(telling)} file(s) that are named otherwise, such as {telling[0]}: name an empty folder"
        )


def _pseudonyms(slides: list[SlideRecord], deidentifier: Deidentifier) -> dict[str, str]:
    return {record.slide_id: f"{deidentifier.record(record).uris[0]}.geojson" for record in slides}


def _names(slides: list[SlideRecord]) -> dict[str, str]:
    """A file name for each slide: its own, or where two share one, its id's beginning, too."""
    stems = {record.slide_id: _stem(record) for record in slides}
    # On most desktops' file systems, names that differ in case alone are one.
    shared = Counter(stem.casefold() for stem in stems.values())
    return {
        slide_id: f"{stem}-{re.sub(r'[^A-Za-z0-9]', '', slide_id)[:12]}.geojson"
        if shared[stem.casefold()] > 1
        else f"{stem}.geojson"
        for slide_id, stem in stems.items()
    }


def _stem(record: SlideRecord) -> str:
    place = unquote(record.uris[-1] if record.uris else record.slide_id)
    name = PurePosixPath(place.replace("\\", "/")).name
    return re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", name) or "slide"


def _fixed(path: Path) -> dict[str, int]:
    try:
        return categories.read(path.read_text(encoding="utf-8-sig"))
    except (FormatError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: {error}") from error


def _coco(
    out: Path,
    annotations: list[Annotation],
    slides: list[SlideRecord],
    known: list[str],
    fixed: dict[str, int] | None,
    deidentifier: Deidentifier | None,
) -> None:
    ids = categories.numbered(known, fixed)
    if fixed is not None or deidentifier is not None:
        # Others have their ids, too, so that two exports agree, but are no categories of this one.
        used = {coco.category(one) for one in annotations}
        ids = {name: number for name, number in ids.items() if name in used or name in (fixed or ())}
        for name in ids.keys() - (ids if fixed is None else fixed).keys():
            click.echo(f"note: --categories does not have {name!r}, which got the id {ids[name]}", err=True)
    if not annotations:
        slides = [record for record in slides if record.size is not None]
        click.echo(_NOTHING, err=True)
    if deidentifier is not None:
        slides = [deidentifier.record(record) for record in slides]
    text, left_out = coco.write(_leaving(annotations, deidentifier), slides, ids)
    _write(out, text, len(annotations) - left_out.total())
    ignored = Counter(name for one in annotations if PathClass(name := coco.category(one)).ignored)
    if ignored:
        names = ", ".join(sorted(ignored))
        click.echo(f"note: {ignored.total()} are of classes that QuPath ignores when it trains: {names}", err=True)
    for what, count in left_out.items():
        click.echo(f"left out: {count} {what}", err=True)


def _write(path: Path, text: str, count: int) -> None:
    """Writes a file, and says so."""
    write_text(path, text)
    click.echo(f"{'standard output' if path == STANDARD_OUTPUT else path}: {count} annotations")
