"""Filters annotations from files to those that can be stored, and lists the others."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click
import numpy as np
import shapely

from wsisam_server.annotations.formats import repair
from wsisam_server.annotations.store import validation
from wsisam_server.cli.annotation_files import say
from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.core.settings import Limits

if TYPE_CHECKING:
    import uuid

    from wsisam_server.cli.annotation_files import FileEntry

SHOWN: Final = 10
"""Problems that are listed one by one."""

_CHUNK: Final = 1000
_LOST: Final = "nothing was left, or they cross themselves too often"

_FIELDS: Final = {
    "name": "its name",
    "path_class.name": "the name of its class",
    "project": "the name of its project",
    "measurements": "its measurements",
    "metadata": "its metadata",
    "annotation": "it",
}


def storable(entries: list[FileEntry], *, mend: bool) -> tuple[list[FileEntry], int]:
    """Those that can be stored, and how many were left out; says which, and why.

    Args:
        entries: of any files.
        mend: whether shapes that cross themselves are made valid.
    """
    small = [entry for entry in entries if _vertices(entry) <= Limits().vertices_per_annotation]
    large = len(entries) - len(small)
    if large:
        first = next(entry for entry in entries if _vertices(entry) > Limits().vertices_per_annotation)
        problem = f"it has {_vertices(first):,} vertices, and {Limits().vertices_per_annotation:,} are the most"
        say(
            "vertices", Counter({"annotations with too many vertices": large}), Counter(), [f"{first.place}: {problem}"]
        )
    valid, lost = _valid(small, mend=mend)
    refused = _refused(valid)
    for entry in [entry for entry in valid if entry.draft.id in refused][:SHOWN]:
        click.echo(f"{entry.place}: {refused[entry.draft.id]}", err=True)
    if refused:
        click.echo(f"left out: {len(refused)} annotations that cannot be stored as they are", err=True)
    return [entry for entry in valid if entry.draft.id not in refused], large + lost + len(refused)


def _vertices(entry: FileEntry) -> int:
    return int(shapely.get_num_coordinates(entry.draft.content.shape))


def _valid(entries: list[FileEntry], *, mend: bool) -> tuple[list[FileEntry], int]:
    shapes = np.asarray([entry.draft.content.shape for entry in entries], object)
    bad = np.flatnonzero(shapely.is_empty(shapes) | ~shapely.is_valid(shapes)).tolist()
    if not bad:
        return entries, 0
    if not mend:
        for number in bad[:SHOWN]:
            click.echo(f"{entries[number].place}: {repair.problem(shapes[number])}", err=True)
        click.echo(
            f"left out: {len(bad)} of {len(entries)} annotations, whose shapes cannot be stored. Let them be made "
            "valid with --repair",
            err=True,
        )
        crossed = set(bad)
        return [entry for number, entry in enumerate(entries) if number not in crossed], len(bad)
    kept: list[FileEntry] = []
    lost = []
    of_bad = set(bad)
    for number, entry in enumerate(entries):
        draft = repair.repaired(entry.draft) if number in of_bad else entry.draft
        if draft is None:
            lost.append(entry)
        else:
            kept.append(replace(entry, draft=draft))
    for entry in lost[:SHOWN]:
        click.echo(f"{entry.place}: {repair.problem(entry.draft.content.shape)}", err=True)
    click.echo(f"{len(bad) - len(lost)} shapes were made valid" + (f", {len(lost)} left out: {_LOST}" if lost else ""))
    return kept, len(lost)


def _refused(entries: list[FileEntry]) -> dict[uuid.UUID, str]:
    """Why some would be refused by the store, by id."""
    refused = {}
    stack = [entries[start : start + _CHUNK] for start in range(0, len(entries), _CHUNK)]
    while stack:
        chunk = stack.pop()
        try:
            validation.drafts([entry.draft for entry in chunk], Limits())
        except WsiSamServerError as error:
            if len(chunk) == 1:
                refused[chunk[0].draft.id] = in_words(error)
            else:
                stack += [chunk[: len(chunk) // 2], chunk[len(chunk) // 2 :]]
    return refused


def in_words(error: WsiSamServerError) -> str:
    """Why the store refuses an annotation, for whoever drew it."""
    problem = error.details.get("problem", error.public_text)
    field = error.details.get("field")
    return f"its shape cannot be stored: {problem}" if field is None else f"{_FIELDS.get(field, field)}: {problem}"
