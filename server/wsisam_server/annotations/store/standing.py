"""Annotations as they are without their contents: enough to tell which of many say what somebody holds.

A digest answers that: what lies in the store is not read, unpacked and made into shapes only to find it unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from wsisam_server.annotations.store import record
from wsisam_server.annotations.store.shape import to_wkb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsisam_server.annotations.store.model import Annotation

UNSAID: Final = ("project", "model", "weights_hash", "score", "prompt", "field", "levels")
"""Columns of what an image does not hold: an annotation's project, and how it was made."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An annotation as it is.

    Attributes:
        revision: its latest one.
        deleted: whether that is a deletion.
        digest: of its content, see `record.digest`.
        unsaid: the values of `UNSAID`; empty when it is deleted.
    """

    revision: int
    deleted: bool
    digest: bytes
    unsaid: tuple[Any, ...]


def of(annotation: Annotation) -> Standing:
    """An annotation's standing, computed from its content."""
    (wkb,) = to_wkb([annotation.content.shape])
    values = record.columns(annotation.content, wkb)
    unsaid = () if annotation.deleted else tuple(values[name] for name in UNSAID)
    return Standing(annotation.revision, annotation.deleted, record.digest(values), unsaid)


def same(standings: Sequence[Standing], slide_id: str, images: Sequence[record.Seen]) -> list[bool]:
    """Of each pair, whether the annotation is there and says exactly what an image shows of it.

    Where it is in doubt (a class's name that was stored in an older form, say), the answer is no.

    Args:
        standings: of annotations on one slide.
        slide_id: the slide's.
        images: one for each, with shapes in their one form (`shape.canonical`).
    """
    shapes = to_wkb([seen.shape for seen in images])
    return [
        not standing.deleted and _digest(standing, slide_id, seen, wkb) == standing.digest
        for standing, seen, wkb in zip(standings, images, shapes, strict=True)
    ]


def _digest(standing: Standing, slide_id: str, seen: record.Seen, wkb: bytes) -> bytes:
    values = record.seen_columns(seen, wkb)
    values["slide_id"] = slide_id
    values.update(zip(UNSAID, standing.unsaid, strict=True))
    return record.digest(values)
