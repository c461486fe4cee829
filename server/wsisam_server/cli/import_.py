"""`wsisam import`: annotations of other programs into the store."""

from __future__ import annotations

import getpass
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import shapely

from wsisam_server.cli.slide import named_slide, slide_options
from wsisam_server.cli.store import opened, place_options
from wsisam_server.formats import FormatError, Found, asap, geojson, provenance, repair
from wsisam_server.store import Wanted, digest, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsisam_server.cli.connection import Reach
    from wsisam_server.store import Annotation, Draft, SlideRecord, Store

PAGE = 1000

VERTICES = 200_000
"""Of the annotations in one request: 3 MB, as a message."""

SHOWN = 10
"""Problems that are told one by one."""

_LOST = "nothing was left, or they cross themselves too often"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no name is known for this user's number
        return ""


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@slide_options
@click.option(
    "--format",
    "kind",
    type=click.Choice(["auto", "geojson", "asap"]),
    default="auto",
    show_default=True,
    help="geojson: QuPath's own. asap: ASAP's XML. auto: by the file's name.",
)
@click.option("--project", default="", help="What they belong to.")
@click.option("--author", default=_user, help="Who stores them; you, if not given.")
@click.option("--update", is_flag=True, help="Let the file win where the store has another version. Both are kept.")
@click.option("--repair", "mend", is_flag=True, help="Make shapes valid that cross themselves.")
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
    store: str,
    server: str | None,
    reach: Reach,
) -> None:
    """Store the annotations in files of QuPath or ASAP that are on one slide.

    Importing a file again changes nothing. An annotation keeps its id; one without any gets one that follows from what
    it says.

    Example: wsisam import annotations.geojson --slide case-7.svs
    """
    if not author:
        raise click.UsageError("your user has no name; say who stores them with --author")
    record = named_slide(slide, slide_id, server, reach)
    if record is None:
        raise click.UsageError("say which slide they are on, with --slide or --slide-id")
    drafts = [draft for path in files for draft in _read(path, kind, record.slide_id, project)]
    drafts = _valid(_different(drafts), mend=mend)
    if not drafts:
        raise click.ClickException("there are no annotations in it; nothing was stored")
    with opened(store, server, reach) as place:
        _save(place, drafts, record, author, update=update)


def _read(path: Path, kind: str, slide_id: str, project: str) -> list[Draft]:
    if kind == "auto":
        kind = "asap" if path.suffix.lower() == ".xml" else "geojson"
    try:
        text = path.read_text(encoding="utf-8-sig")
        found: Found = (asap if kind == "asap" else geojson).read(text, slide_id, project)
    except (FormatError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path}: {error}") from error
    for what, count in found.left_out.items():
        click.echo(f"{path}: left out: {count} {what}", err=True)
    return found.drafts


def _different(drafts: list[Draft]) -> list[Draft]:
    """Each annotation once; files may overlap."""
    by_id: dict[uuid.UUID, Draft] = {}
    for draft in drafts:
        known = by_id.setdefault(draft.id, draft)
        if known is not draft and digest(known.content) != digest(draft.content):
            raise click.ClickException(f"the annotation {draft.id} is there twice, and not the same")
    return list(by_id.values())


def _valid(drafts: list[Draft], *, mend: bool) -> list[Draft]:
    bad = [draft for draft in drafts if draft.content.shape.is_empty or not draft.content.shape.is_valid]
    if not bad:
        return drafts
    if not mend:
        for draft in bad[:SHOWN]:
            problem = "empty" if draft.content.shape.is_empty else shapely.is_valid_reason(draft.content.shape)
            click.echo(f"{draft.id} {draft.content.name}: {problem}", err=True)
        raise click.ClickException(
            f"{len(bad)} of {len(drafts)} annotations have shapes that cannot be stored; nothing was. Let them be made "
            "valid with --repair"
        )
    mended = [repair.repaired(draft) for draft in drafts]
    lost = sum(draft is None for draft in mended)
    click.echo(f"{len(bad) - lost} shapes were made valid" + (f", {lost} left out: {_LOST}" if lost else ""))
    return [draft for draft in mended if draft is not None]


def _save(store: Store, drafts: list[Draft], record: SlideRecord, author: str, *, update: bool) -> None:
    known, _ = listed(store, Wanted(slide_id=record.slide_id), deleted=True)
    drafts = [_as_stored(known.get(draft.id), draft) for draft in drafts]
    other = [draft for draft in drafts if _differs(known.get(draft.id), draft)]
    if other and not update:
        for draft in other[:SHOWN]:
            click.echo(f"{draft.id} {draft.content.name}: the store has another version", err=True)
        raise click.ClickException(
            f"{len(other)} of {len(drafts)} annotations are in the store with another content, or were deleted; "
            "nothing was stored. Let the file win with --update"
        )
    new = sum(draft.id not in known for draft in drafts)
    changed = 0
    for batch in _batches(drafts):
        current = [replace(draft, expected=known[draft.id].revision) if draft.id in known else draft for draft in batch]
        saved = store.save(current, author=author, request_id=uuid.uuid4().hex, slides=[record])
        changed += sum(not one.unchanged for one in saved)
    click.echo(f"{new} new annotations, {changed - new} changed, {len(drafts) - changed} as they were")


def _as_stored(stored: Annotation | None, draft: Draft) -> Draft:
    """The draft in the words of the store, where these come from an earlier reading of the same file."""
    if stored is None:
        return draft
    now = provenance.with_levels(stored.content)
    # Nearly all are read as they were; these are compared once, when it is asked what differs.
    if now is stored.content or digest(now) != digest(draft.content):
        return draft
    return replace(draft, content=stored.content)


def _differs(stored: Annotation | None, draft: Draft) -> bool:
    return stored is not None and (stored.deleted or digest(stored.content) != digest(draft.content))


def _batches(drafts: list[Draft]) -> Iterator[list[Draft]]:
    batch: list[Draft] = []
    vertices = 0
    for draft in drafts:
        count = int(shapely.get_num_coordinates(draft.content.shape))
        if batch and (len(batch) == PAGE or vertices + count > VERTICES):
            yield batch
            batch, vertices = [], 0
        batch.append(draft)
        vertices += count
    yield batch
