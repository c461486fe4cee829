"""Whether two versions of an object say the same. A copy that went through QuPath is not the same to the last bit.

QuPath rounds polygons without holes to 0.01 px and keeps them as 32-bit floats; it may begin a ring at another vertex,
run it the other way round, drop a vertex in the middle of a straight line, and list parts in another order.
"""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, Final

import numpy as np
import shapely

from wsisam_server.annotations.sync.model import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shapely.geometry.base import BaseGeometry

    from wsisam_server.annotations.store import PathClass
    from wsisam_server.annotations.sync.model import Drawing

ROUNDING_PX: Final = 0.01
"""Rounding moves a vertex by 0.0071 px at most."""

_MEASURED: Final = 1e-6
"""Relative: QuPath keeps some measurements as 32-bit floats."""


def differences(first: Drawing, second: Drawing) -> frozenset[Kind]:
    """In what two versions differ. A class's colour does not count: QuPath has one for it, wherever it is used."""
    shape = frozenset() if same_shape(first.shape, second.shape) else frozenset({Kind.GEOMETRY})
    return shape | differing_words(first, second)


def differing_words(first: Drawing, second: Drawing) -> frozenset[Kind]:
    """As `differences`, but for the shapes."""
    if first.path_class == second.path_class and (
        (first.rgb, first.name, first.locked, first.measurements, first.metadata)
        == (second.rgb, second.name, second.locked, second.measurements, second.metadata)
    ):
        return frozenset()  # most are, and this is sooner told
    found = {
        Kind.CLASS: not same_class(first.path_class, second.path_class),
        Kind.NAME: first.name != second.name,
        Kind.COLOUR: first.rgb != second.rgb,
        Kind.LOCK: first.locked != second.locked,
        Kind.MEASUREMENTS: not same_measurements(first.measurements, second.measurements),
        Kind.METADATA: dict(first.metadata) != dict(second.metadata),
    }
    return frozenset(kind for kind, differs in found.items() if differs)


def alike(first: Sequence[Drawing], second: Sequence[Drawing]) -> list[bool]:
    """Of each pair, whether `differences` are none and that is soon told: what is in doubt is said to differ."""
    here = np.asarray([one.shape for one in first], object)
    there = np.asarray([one.shape for one in second], object)
    bounds = np.abs(np.hstack([shapely.bounds(here), shapely.bounds(there)]))
    tolerance = ROUNDING_PX + np.spacing(bounds.max(axis=1, initial=0).astype(np.float32)).astype(np.float64)
    close = shapely.equals_exact(here, there, tolerance).tolist()
    return [
        is_close and not differing_words(one, other) for one, other, is_close in zip(first, second, close, strict=True)
    ]


def same_class(first: PathClass | None, second: PathClass | None) -> bool:
    """Whether QuPath takes two classes for one; it strips blanks about each part of a name."""
    return class_parts(first) == class_parts(second)


def class_parts(path_class: PathClass | None) -> tuple[str, ...]:
    """A class's name part by part, as QuPath reads it; empty for no class."""
    return () if path_class is None else tuple(part.strip() for part in path_class.name.split(":"))


def same_measurements(first: Mapping[str, float], second: Mapping[str, float]) -> bool:
    """Whether two sets of measurements agree, to the precision at which QuPath keeps them."""
    return first.keys() == second.keys() and all(same_number(value, second[name]) for name, value in first.items())


def same_number(first: float, second: float) -> bool:
    """Whether two measurements are equal to the precision at which QuPath keeps them."""
    return math.isclose(first, second, rel_tol=_MEASURED, abs_tol=1e-30)


def same_shape(first: BaseGeometry, second: BaseGeometry) -> bool:
    """Whether one shape can be the other after QuPath's rounding.

    Args:
        first: level-0 pixels, not empty, valid.
        second: as `first`.
    """
    tolerance = _tolerance(first, second)
    if shapely.equals_exact(first, second, tolerance):
        return True
    if shapely.get_dimensions(first) != shapely.get_dimensions(second):
        return False
    if max(abs(one - other) for one, other in zip(first.bounds, second.bounds, strict=True)) > tolerance:
        return False
    if shapely.equals_exact(shapely.normalize(first), shapely.normalize(second), tolerance):
        return True
    return (
        _same_extent(first, second, tolerance)
        and _runs_along(first, second, tolerance)
        and _runs_along(second, first, tolerance)
    )


def _tolerance(first: BaseGeometry, second: BaseGeometry) -> float:
    """Pixels. Beyond 131,072 px the steps of 32-bit floats are coarser than 0.01 px."""
    largest = max(abs(value) for value in chain(first.bounds, second.bounds))
    return ROUNDING_PX + float(np.spacing(np.float32(largest)))


def _same_extent(first: BaseGeometry, second: BaseGeometry, tolerance: float) -> bool:
    """Whether areas agree as far as moved borders allow, or as many points are there, or lines are as long."""
    dimension = shapely.get_dimensions(first)
    if dimension == 0:
        return len(shapely.get_coordinates(first)) == len(shapely.get_coordinates(second))
    if dimension == 1:
        vertices = max(shapely.get_num_coordinates(first), shapely.get_num_coordinates(second))
        return bool(abs(first.length - second.length) <= 2 * tolerance * vertices)
    return bool(abs(first.area - second.area) <= tolerance * max(first.length, second.length))


def _runs_along(first: BaseGeometry, second: BaseGeometry, tolerance: float) -> bool:
    """Whether each vertex of one lies on the other's border, line or points."""
    line = shapely.boundary(second) if shapely.get_dimensions(second) == 2 else second  # noqa: PLR2004 - an area
    shapely.prepare(line)
    return bool(shapely.dwithin(shapely.points(shapely.get_coordinates(first)), line, tolerance).all())
