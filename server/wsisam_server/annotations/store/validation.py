"""What may be stored. Bad shapes and texts are refused here, before they can do harm in QuPath or in a database."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NoReturn

import numpy as np
import shapely

from wsisam_server.annotations.store.model import PATCH_FIELDS, Draft, Patch
from wsisam_server.annotations.store.shape import canonical
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.requests import SHAPE_VERTICES
from wsisam_server.core.shapes import GeometryRepairError, ValidityBudget, validity_problem
from wsisam_server.core.shapes.validity import SMALL

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

    from wsisam_server.annotations.store.model import AnnotationFilter, Content, Provenance, SlideRecord, Target
    from wsisam_server.core.settings import Limits

MAX_COORDINATE: Final = 2.0**26
"""Level-0 pixels: what the contract's 32-bit integers in 1/32 px reach."""

MAX_NAME: Final = 512
"""Characters of what is indexed: slide ids, projects, names of classes. PostgreSQL's indexes take no more."""

MAX_URI: Final = 4096

MAX_LEVELS: Final = 16
"""Scales of one outline: its field's, and as often as it could be halved for a border."""

MAX_POINTS: Final = 1024
"""Points of the prompt that an outline was made with; more where the server itself takes more."""

MAX_RGB: Final = 0xFFFFFF

_AREA: Final = 2

_NO_SHAPE: Final = shapely.Point(0, 0)
"""Of a patch that leaves the shape as it is."""

_KINDS: Final = (
    shapely.GeometryType.POINT,
    shapely.GeometryType.LINESTRING,
    shapely.GeometryType.POLYGON,
    shapely.GeometryType.MULTIPOINT,
    shapely.GeometryType.MULTILINESTRING,
    shapely.GeometryType.MULTIPOLYGON,
)


def drafts(given: Sequence[Draft | Patch], limits: Limits) -> list[Draft | Patch]:
    """The drafts with shapes and numbers in their one form.

    Raises:
        WsiSamServerError: INVALID_FIELD or INVALID_SHAPE.
    """
    _batch(given, limits)
    for draft in given:
        _content(draft, limits)
    _shapes(given, limits)
    return [_in_one_form(draft) for draft in given]


def _in_one_form(draft: Draft | Patch) -> Draft | Patch:
    if isinstance(draft, Draft):
        return replace(draft, content=replace(draft.content, shape=canonical(draft.content.shape)))
    if "shape" not in draft.fields:
        return draft
    return replace(draft, fields={**draft.fields, "shape": canonical(draft.fields["shape"])})


def patched(annotation_id: uuid.UUID, characters: int, limits: Limits) -> None:
    """Passes an annotation's texts, some of which are new: each was looked at, and now all of them together.

    Raises:
        WsiSamServerError: INVALID_FIELD.
    """
    if characters > limits.annotation_text:
        problem = f"its texts have more than {limits.annotation_text} characters together"
        raise WsiSamServerError(Reason.INVALID_FIELD, field="annotation", problem=problem, annotation_id=annotation_id)


def targets(given: Sequence[Target], limits: Limits) -> None:
    """Passes what may be deleted or restored.

    Raises:
        WsiSamServerError: INVALID_FIELD.
    """
    _batch(given, limits)


def signature(author: str, request_id: str, limits: Limits) -> None:
    """Passes an author and a request id.

    Raises:
        WsiSamServerError: INVALID_FIELD.
    """
    for field, value in (("author", author), ("request_id", request_id)):
        if not value:
            _refuse(field, "it is empty")
        _text(field, value, limits.id_length)


def annotation_filter(given: AnnotationFilter) -> None:
    """Passes what may be looked for.

    Raises:
        WsiSamServerError: INVALID_FIELD.
    """
    for field in ("slide_id", "uri", "project", "author", "path_class"):
        value = getattr(given, field)
        if value is not None:
            _text(f"filter.{field}", value, MAX_URI)


def slides(given: Collection[SlideRecord], limits: Limits) -> None:
    """Passes what is to be noted of slides.

    Raises:
        WsiSamServerError: INVALID_FIELD.
    """
    if len(given) > limits.annotations_per_request:
        _refuse("slides", f"there may be at most {limits.annotations_per_request}")
    for record in given:
        _slide_id("slides.slide_id", record.slide_id)
        for uri in record.uris:
            _text("slides.uris", uri, MAX_URI)
            if not uri:
                _refuse("slides.uris", "one is empty")


def _batch(given: Sequence[Draft | Patch] | Sequence[Target], limits: Limits) -> None:
    if not 1 <= len(given) <= limits.annotations_per_request:
        _refuse("annotations", f"there must be 1 to {limits.annotations_per_request}")
    if len({item.id for item in given}) < len(given):
        _refuse("annotations", "an id is used twice")


def _patch(patch: Patch) -> None:
    if not patch.fields:
        _refuse("update_mask", "it names no field")
    for name in sorted(patch.fields.keys() - PATCH_FIELDS):
        _refuse("update_mask", f"'{name}' is no field that can be changed by itself")
    if patch.expected == 0:
        _refuse("update_mask", "the annotation is new (revision 0), so no field of it can stay; leave the mask out")


def _content(draft: Draft | Patch, limits: Limits) -> None:
    try:
        if isinstance(draft, Patch):
            _patch(draft)
        content = draft.content
        if isinstance(draft, Draft) or draft.slide_id:
            _slide_id("slide_id", content.slide_id)
        for field, value in _texts(content):
            _text(field, value, MAX_NAME if field in {"project", "path_class.name"} else limits.annotation_text)
        if sum(len(value) for _, value in _texts(content)) > limits.annotation_text:
            _refuse("annotation", f"its texts have more than {limits.annotation_text} characters together")
        _path_class(content)
        if content.provenance is not None:
            _provenance(content.provenance, limits)
        for name, number in content.measurements.items():
            if not math.isfinite(number):
                _refuse("measurements", f"'{name}' is not a finite number; leave out what was not measured")
    except WsiSamServerError as error:
        raise error.at(annotation_id=draft.id) from error


def _texts(content: Content) -> Iterator[tuple[str, str]]:
    yield "name", content.name
    yield "project", content.project
    if content.path_class is not None:
        yield "path_class.name", content.path_class.name
    yield from (("measurements", name) for name in content.measurements)
    for pair in content.metadata.items():
        yield from (("metadata", text) for text in pair)
    if content.provenance is not None:
        yield "provenance.model", content.provenance.model
        yield "provenance.weights_hash", content.provenance.weights_hash


def _path_class(content: Content) -> None:
    _rgb("rgb", content.rgb)
    if content.path_class is None:
        return
    if not content.path_class.name:
        _refuse("path_class.name", "it is empty; leave the class out")
    _rgb("path_class.rgb", content.path_class.rgb)


def _provenance(made: Provenance, limits: Limits) -> None:
    most = max(MAX_POINTS, limits.points_per_prompt)
    if made.prompt is not None and len(made.prompt.points) > most:
        _refuse("provenance.prompt.points", f"there are {len(made.prompt.points)}; the limit is {most}")
    shape = None if made.prompt is None else made.prompt.shape
    if shape is not None and shapely.get_num_coordinates(shape) - len(shapely.get_rings(shape)) > SHAPE_VERTICES:
        _refuse("provenance.prompt.shape", f"it has more than {SHAPE_VERTICES} vertices, which is the limit")
    if made.score is not None and not math.isfinite(made.score):
        _refuse("provenance.score", "it is not a finite number")
    if len(made.levels) > MAX_LEVELS:
        _refuse("provenance.levels", f"there are {len(made.levels)}; the limit is {MAX_LEVELS}")


def _rgb(field: str, rgb: int | None) -> None:
    if rgb is not None and not 0 <= rgb <= MAX_RGB:
        _refuse(field, "it must lie between 0 and 0xFFFFFF")


def _slide_id(field: str, value: str) -> None:
    if not value:
        _refuse(field, "it is empty")
    _text(field, value, MAX_NAME)


def _text(field: str, value: str, limit: int) -> None:
    if len(value) > limit:
        _refuse(field, f"it has {len(value)} characters; the limit is {limit}")
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        _refuse(field, "it has a character that is no text (U+0000, or half of a pair)")


def _shapes(given: Sequence[Draft | Patch], limits: Limits) -> None:
    # All at once: one by one, these checks would take longer than storing.
    shapes = np.asarray([_shape(draft) for draft in given], object)
    large = _large(shapes)
    parts, part_of = shapely.get_parts(shapes, return_index=True)
    coordinates, vertex_of = shapely.get_coordinates(shapes, return_index=True)
    bad = ~np.isin(shapely.get_type_id(shapes), _KINDS)
    bad |= shapely.is_empty(shapes) | shapely.has_z(shapes)
    bad[~large] |= ~shapely.is_valid(shapes[~large])
    bad[part_of[shapely.is_empty(parts)]] = True
    # NaN compares false.
    bad[vertex_of[~(np.abs(coordinates) <= MAX_COORDINATE).all(axis=1)]] = True
    bad |= shapely.get_num_coordinates(shapes) > limits.vertices_per_annotation
    for number in np.flatnonzero(bad).tolist():
        draft = given[number]
        problem = next(_problems(_shape(draft), limits))
        raise WsiSamServerError(Reason.INVALID_SHAPE, annotation_id=draft.id, problem=problem)
    _large_ones([draft for draft, one in zip(given, large, strict=True) if one])


def heavy(given: Sequence[Draft | Patch]) -> bool:
    """Whether it may take seconds until drafts are known to be good."""
    return bool(_large(np.asarray([_shape(draft) for draft in given], object)).any())


def _shape(draft: Draft | Patch) -> BaseGeometry:
    return draft.content.shape if isinstance(draft, Draft) else draft.fields.get("shape", _NO_SHAPE)


def _large(shapes: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Areas of which it is not told at once whether they are valid."""
    return np.asarray((shapely.get_dimensions(shapes) == _AREA) & (shapely.get_num_coordinates(shapes) > SMALL))


def _large_ones(given: Sequence[Draft | Patch]) -> None:
    """Passes areas that are valid, and of which that can be told soon."""
    budget = ValidityBudget()
    for draft in given:
        try:
            found = validity_problem(_shape(draft), budget)
        except GeometryRepairError as error:
            found = "too many of its segments cross or lie side by side; simplify it, or store it in parts"
            raise WsiSamServerError(
                Reason.INVALID_SHAPE, annotation_id=draft.id, problem=found, private=str(error)
            ) from error
        if found:
            raise WsiSamServerError(Reason.INVALID_SHAPE, annotation_id=draft.id, problem=found)


def _problems(shape: BaseGeometry, limits: Limits) -> Iterator[str]:
    """What is wrong with a shape that is not good, the plainest first."""
    if shapely.get_type_id(shape) not in _KINDS:
        yield f"it is a {shape.geom_type}; points, lines and polygons are stored, each kind by itself"
    if shape.is_empty or shapely.is_empty(shapely.get_parts(shape)).any():
        yield "it, or a part of it, is empty"
    if shape.has_z:
        yield "it has more than two dimensions"
    count = shapely.get_num_coordinates(shape)
    if count > limits.vertices_per_annotation:
        yield f"it has {count} vertices; the limit is {limits.vertices_per_annotation}"
    if not (np.abs(shapely.get_coordinates(shape)) <= MAX_COORDINATE).all():
        yield f"a coordinate is no number, or beyond {MAX_COORDINATE:.0f} px"
    yield shapely.is_valid_reason(shape)


def _refuse(field: str, problem: str) -> NoReturn:
    raise WsiSamServerError(Reason.INVALID_FIELD, field=field, problem=problem)
