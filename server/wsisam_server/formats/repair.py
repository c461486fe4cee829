"""Shapes that cross themselves, made valid."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import shapely

from wsisam_server.polygons import Mender, TangledError, polygonal

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from wsisam_server.store import Draft


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
            valid: BaseGeometry = Mender().mended(polygonal(shape))
        except TangledError:
            return None
    else:
        valid = shapely.make_valid(shape)
    if valid.is_empty or valid.geom_type == "GeometryCollection":
        return None
    return replace(draft, content=replace(draft.content, shape=valid))
