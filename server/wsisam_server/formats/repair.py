"""Shapes that cross themselves, made valid."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import shapely

from wsisam_server.polygons import polygonal

if TYPE_CHECKING:
    from wsisam_server.store import Draft


def repaired(draft: Draft) -> Draft | None:
    """The draft with a valid shape; itself when its shape is valid already, None when nothing of it is left."""
    shape = draft.content.shape
    if shape.is_valid and not shape.is_empty:
        return draft
    valid = shapely.make_valid(shape)
    if shape.geom_type in {"Polygon", "MultiPolygon"}:
        valid = polygonal(valid)
    if valid.is_empty or valid.geom_type == "GeometryCollection":
        return None
    return replace(draft, content=replace(draft.content, shape=valid))
