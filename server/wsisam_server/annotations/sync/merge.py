"""Merging what goes along with an object: colours, locks, measurements and metadata never stand in anybody's way.

Each is compared with what both sides last agreed on; who changed it, wins, and where both did, QuPath.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from wsisam_server.annotations.sync.likeness import same_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wsisam_server.annotations.sync.model import Drawing

Value = TypeVar("Value")


def with_details(drawing: Drawing, project: Drawing, store: Drawing, base: Drawing | None) -> Drawing:
    """A drawing with the merged colour, lock, measurements and metadata of both sides.

    Args:
        drawing: whose geometry, class and name are taken.
        project: as QuPath has it.
        store: as the store has it.
        base: as both had it; None when they never agreed, and nothing is known to have been taken away.
    """
    return replace(
        drawing,
        rgb=store.rgb if base is not None and project.rgb == base.rgb else project.rgb,
        locked=store.locked if base is not None and project.locked == base.locked else project.locked,
        measurements=_merged(
            project.measurements, store.measurements, {} if base is None else base.measurements, same_number
        ),
        metadata=_merged(
            project.metadata, store.metadata, {} if base is None else base.metadata, lambda one, other: one == other
        ),
    )


def _merged(
    project: Mapping[str, Value],
    store: Mapping[str, Value],
    base: Mapping[str, Value],
    same: Callable[[Value, Value], bool],
) -> dict[str, Value]:
    merged = dict(store)
    for key in project.keys() | base.keys():
        if key not in project:
            merged.pop(key, None)
        elif key not in base or not same(project[key], base[key]):
            merged[key] = project[key]
    return merged
