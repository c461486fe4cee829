"""Shapes that cross themselves, made valid."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import shapely

from wsisam_server.core.shapes import GeometryRepairer, GeometryRepairError, polygonal

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from wsisam_server.annotations.store import Draft


_WORDS: Final = {
    "Ring Self-intersection": "its outline touches or crosses itself",
    "Self-intersection": "its outline crosses itself",
    "Too few points": "it has too few different vertices",
    "Hole lies outside shell": "a hole lies outside its area",
    "Holes are nested": "a hole lies in another hole",
    "Interior is disconnected": "its holes cut the area in pieces",
    "Nested shells": "one part lies in another",
    "Duplicate Rings": "one part is there twice",
    "Invalid Coordinate": "a vertex is no number",
}


def problem(shape: BaseGeometry) -> str:
    """What is wrong with a shape that is not valid, in words for whoever drew it, and where (level-0 pixels)."""
    if shape.is_empty:
        return "it is empty"
    reason, _, place = shapely.is_valid_reason(shape).partition("[")
    words = next((words for known, words in _WORDS.items() if reason.startswith(known)), "it is not a valid shape")
    where = ", ".join(place.rstrip("]").split())
    return f"{words} at ({where})" if where else words


def repaired(draft: Draft) -> Draft | None:
    """The draft with a valid shape; itself when its shape is valid already.

    Returns:
        None when nothing of it is left, or it crosses itself too often to be repaired.
    """
    shape = draft.content.shape
    if shape.is_valid and not shape.is_empty:
        return draft
    if shape.geom_type in {"Polygon", "MultiPolygon"}:
        try:
            valid: BaseGeometry = GeometryRepairer().repair(polygonal(shape))
        except GeometryRepairError:
            return None
    else:
        valid = shapely.make_valid(shape)
    if valid.is_empty or valid.geom_type == "GeometryCollection":
        return None
    return replace(draft, content=replace(draft.content, shape=valid))
