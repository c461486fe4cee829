"""Messages to domain values. Every malformed value becomes INVALID_FIELD with the field's path in the request."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypedDict, TypeVar

from wsisam.v1 import geometry_pb2, segmentation_pb2
from wsisam_server.core.cancellation import checkpoint
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import Box, Point, SlideSize, Viewport, Window
from wsisam_server.core.pixel_size import mean_mpp
from wsisam_server.core.pixels import Encoding, PixelWindow
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.core.requests import (
    MAX_CANDIDATES,
    MAX_DOWNSAMPLE,
    MAX_SIZE_RATIO,
    MIN_DOWNSAMPLE,
    SHAPE_VERTICES,
    AtDownsample,
    ExactWindow,
    FieldChoice,
    OutlineOptions,
    PartsPolicy,
    ProposalFilter,
    Refinement,
    Request,
    SurveyRequest,
)
from wsisam_server.core.shapes import decode, decode_many

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import shapely

    from wsisam_server.core.settings import Limits

MAX_TOLERANCE = 1000.0
MAX_SIDE = 2**26 - 1
"""Pixels; what a ring's 32-bit deltas in 1/32 px can reach."""

MAX_AREA = 1e12

AREAS_AT_ONCE = 1000
"""So many are made in about a millisecond, and leave little for Python's garbage collector to look through."""

PAUSE = 0.02
"""Seconds after so many, which take about as long."""
RING_VERTICES: Final = 3
"""Of a ring at least."""

Value = TypeVar("Value")

TILE_ENCODINGS: dict[int, Encoding] = {
    segmentation_pb2.TILE_ENCODING_RAW: "raw",
    segmentation_pb2.TILE_ENCODING_PNG: "png",
    segmentation_pb2.TILE_ENCODING_JPEG: "jpeg",
}

PARTS_POLICIES: Final = {
    segmentation_pb2.PARTS_POLICY_UNSPECIFIED: PartsPolicy.PROMPTED,
    segmentation_pb2.PARTS_POLICY_ALL: PartsPolicy.ALL,
    segmentation_pb2.PARTS_POLICY_PROMPTED: PartsPolicy.PROMPTED,
}


def invalid(field: str, problem: str) -> WsiSamServerError:
    """INVALID_FIELD for the field at a path."""
    return WsiSamServerError(Reason.INVALID_FIELD, field=field, problem=problem)


def identifier(value: str, field: str, limits: Limits) -> str:
    """An id that is neither empty nor too long."""
    if not value:
        raise invalid(field, "it is empty")
    if len(value) > limits.id_length:
        raise invalid(field, f"it has {len(value)} characters; the limit is {limits.id_length}")
    return value


def box(message: geometry_pb2.Box, field: str) -> Box:
    """A box with finite corners and a positive area."""
    return _valid(field, lambda: Box(message.x0, message.y0, message.x1, message.y1))


def viewport(message: geometry_pb2.Viewport, field: str) -> Viewport:
    """A viewport with a positive downsample."""
    region = box(message.region, f"{field}.region")
    return _valid(f"{field}.downsample", lambda: Viewport(region, message.downsample))


def prompt(message: segmentation_pb2.Prompt, field: str, most: int | None = None) -> SlidePrompt:
    """A prompt whose parts are each valid; whether it makes sense on the slide is checked elsewhere.

    Args:
        message: the prompt.
        field: its path in the request.
        most: points that it may have; more are refused before any is looked at.
    """
    if most is not None and len(message.points) > most:
        raise WsiSamServerError(Reason.TOO_MANY_POINTS, count=len(message.points), limit=most)
    points = []
    for number, point in enumerate(message.points):
        path = f"{field}.points[{number}]"
        if point.label not in (segmentation_pb2.POINT_LABEL_POSITIVE, segmentation_pb2.POINT_LABEL_NEGATIVE):
            raise invalid(f"{path}.label", "it must be POSITIVE or NEGATIVE")
        if not point.HasField("position"):
            raise invalid(f"{path}.position", "it is missing")
        points.append(
            PromptPoint(
                _valid(f"{path}.position", lambda at=point.position: Point(at.x, at.y)),  # type: ignore[misc]
                point.label == segmentation_pb2.POINT_LABEL_POSITIVE,
                point.candidate if point.HasField("candidate") else None,
            )
        )
    return SlidePrompt(
        tuple(points),
        box=box(message.box, f"{field}.box") if message.HasField("box") else None,
        shape=_shape(message.shape, f"{field}.shape") if message.HasField("shape") else None,
        candidate=message.candidate if message.HasField("candidate") else None,
    )


def _shape(message: geometry_pb2.MultiPolygon, field: str) -> shapely.MultiPolygon:
    """A rough outline as it was drawn, with at most as many vertices as a prompt may have."""
    if count_vertices([message], SHAPE_VERTICES) > SHAPE_VERTICES:
        raise invalid(field, f"it has more than {SHAPE_VERTICES} vertices, which is the limit; draw it more roughly")
    drawn = areas(message, field)
    if drawn.is_empty:
        raise invalid(field, "it is empty")
    return drawn


def request(
    message: segmentation_pb2.SegmentRequest | segmentation_pb2.BatchItem | segmentation_pb2.PromptRevision,
    common: Request,
    most_points: int,
) -> Request:
    """One prompt, with what the message says of it. Its errors name fields from this message on.

    Args:
        message: the prompt.
        common: what holds for all prompts of the call: slide, model, options, whose they are. Its own prompt is empty.
        most_points: see `prompt`.
    """
    if isinstance(message, segmentation_pb2.PromptRevision) and message.HasField("options"):
        common = replace(common, options=options(message.options, "options"))
    return replace(
        common,
        prompt=prompt(message.prompt, "prompt", most_points),
        viewport=viewport(message.viewport, "viewport") if message.HasField("viewport") else None,
        choice=field_choice(message.field, "field"),
        refinement=refinement(message.refine, "refine") if message.HasField("refine") else None,
    )


def common(
    message: segmentation_pb2.SegmentRequest | segmentation_pb2.SegmentBatchRequest | segmentation_pb2.Start,
    path: str,
    principal: str,
    *,
    interactive: bool,
) -> Request:
    """What holds for all prompts of a call; the prompt itself is empty."""
    return Request(
        slide_id=message.slide_id,
        prompt=SlidePrompt(),
        model=message.model,
        options=options(message.options, f"{path}options"),
        interactive=interactive,
        principal=principal,
        mpp=pixel_size(message, path),
    )


def options(message: segmentation_pb2.OutlineOptions, field: str) -> OutlineOptions:
    """How an outline is wanted, with lengths and areas within their ranges."""
    tolerance = message.tolerance if message.HasField("tolerance") else None
    if tolerance is not None and not 0 <= tolerance <= MAX_TOLERANCE:
        raise invalid(f"{field}.tolerance", f"it must lie between 0 and {MAX_TOLERANCE:g}")
    min_area = message.min_area if message.HasField("min_area") else None
    if min_area is not None and not 0 <= min_area <= MAX_AREA:
        raise invalid(f"{field}.min_area", f"it must lie between 0 and {MAX_AREA:g}")
    holes = message.fill_holes_below if message.HasField("fill_holes_below") else None
    if holes is not None and not 0 <= holes <= MAX_AREA:
        raise invalid(f"{field}.fill_holes_below", f"it must lie between 0 and {MAX_AREA:g}")
    if not 0 <= message.smoothing <= MAX_TOLERANCE:
        raise invalid(f"{field}.smoothing", f"it must lie between 0 and {MAX_TOLERANCE:g}")
    if message.parts not in PARTS_POLICIES:
        raise invalid(f"{field}.parts", "it is not known here")
    honour = message.honour_points if message.HasField("honour_points") else True
    candidates = message.max_candidates if message.HasField("max_candidates") else 1
    if not 1 <= candidates <= MAX_CANDIDATES:
        raise invalid(f"{field}.max_candidates", f"it must lie between 1 and {MAX_CANDIDATES}")
    parts = PARTS_POLICIES[message.parts]
    return OutlineOptions(tolerance, min_area, parts, holes, message.smoothing, honour, candidates)


def areas(message: geometry_pb2.MultiPolygon, field: str) -> shapely.MultiPolygon:
    """Polygons as they were drawn, valid or not."""
    return _valid(field, lambda: decode(_rings(message)))


def _areas_of(messages: Sequence[geometry_pb2.MultiPolygon], field: str) -> list[shapely.MultiPolygon]:
    """Many areas, some at once, which takes a fraction of the time of one by one."""
    made: list[shapely.MultiPolygon] = []
    for begin in range(0, len(messages), AREAS_AT_ONCE):
        checkpoint()
        part = messages[begin : begin + AREAS_AT_ONCE]
        try:
            made += decode_many([_rings(message) for message in part])
        except ValueError:
            # One by one: the one that is at fault is to be named.
            made += [areas(message, f"{field}[{number}]") for number, message in enumerate(part, begin)]
        if len(messages) > AREAS_AT_ONCE:
            time.sleep(PAUSE)  # the turn of the loop that answers everybody
    return made


def _rings(message: geometry_pb2.MultiPolygon) -> list[list[list[int]]]:
    return [[list(ring.deltas) for ring in part.rings] for part in message.polygons]


def count_vertices(shapes: Iterable[geometry_pb2.MultiPolygon], enough: int) -> int:
    """The vertices of shapes, or some number above `enough` where there are more.

    Each ring counts as at least a triangle, and each polygon as at least one ring: no number of empty ones passes.
    """
    count = 0
    for shape in shapes:
        for part in shape.polygons:
            rings = part.rings
            count += sum(max(len(ring.deltas) // 2, RING_VERTICES) for ring in rings[: enough + 1]) or RING_VERTICES
            if count > enough:
                return count
    return count


def survey(message: segmentation_pb2.SegmentEverythingRequest, principal: str, limits: Limits) -> SurveyRequest:
    """A region that is to be searched.

    Raises:
        WsiSamServerError: INVALID_FIELD; INVALID_REGION where it has too many vertices.
    """
    return SurveyRequest(
        **region_and_existing(message, principal, limits),
        proposal_filter=proposal_filter(message.filter, "filter"),
        options=options(message.options, "options"),
    )


class SurveyFields(TypedDict):
    """What a search has in any case; see `SurveyRequest`."""

    slide_id: str
    region: shapely.MultiPolygon
    existing: list[shapely.MultiPolygon]
    model: str
    principal: str
    mpp: float | None


def region_and_existing(
    message: segmentation_pb2.SegmentEverythingRequest, principal: str, limits: Limits
) -> SurveyFields:
    """What a search has in any case.

    Raises:
        WsiSamServerError: INVALID_FIELD; INVALID_REGION where it has too many vertices.
    """
    most = limits.vertices_per_annotation
    shapes = (message.region, *message.existing, *(one.geometry for one in message.exemplars))
    # Before anything is made of them: each takes memory and time, and most of an empty one.
    if len(message.existing) > most or count_vertices(shapes, most) > most:
        problem = f"with the existing objects it has more than {most} vertices, which is the limit"
        field = "existing" if message.existing else "region"
        raise WsiSamServerError(Reason.INVALID_REGION, field=field, problem=problem)
    return {
        "slide_id": message.slide_id,
        "region": areas(message.region, "region"),
        "existing": _areas_of(message.existing, "existing"),
        "model": message.model,
        "principal": principal,
        "mpp": pixel_size(message, ""),
    }


def proposal_filter(message: segmentation_pb2.ProposalFilter, field: str) -> ProposalFilter:
    """Sizes that make sense, and thresholds between 0 and 1; those that are not set are the server's."""
    low, high = message.min_size, message.max_size
    if not 0 < low < high < math.inf:
        raise invalid(
            field, "sizes must be 0 < min_size < max_size, in microns, or in pixels on a slide that says none"
        )
    if high > MAX_SIZE_RATIO * low:
        raise invalid(
            field,
            f"max_size is more than {MAX_SIZE_RATIO} times min_size, and one scale cannot show both; ask once for the "
            "small objects and once for the large ones",
        )
    thresholds = {}
    for name in ("min_score", "min_stability", "min_agreement", "max_overlap"):
        if message.HasField(name):
            thresholds[name] = getattr(message, name)
            if not 0 <= thresholds[name] <= 1:
                raise invalid(f"{field}.{name}", "it must lie between 0 and 1")
    return ProposalFilter(low, high, **thresholds)


def field_choice(message: segmentation_pb2.FieldChoice, field: str) -> FieldChoice:
    """The caller's own scale or window, or None."""
    kind = message.WhichOneof("choice")
    if kind == "downsample":
        if not math.isfinite(message.downsample):
            raise invalid(f"{field}.downsample", "it must be a finite number")
        return AtDownsample(message.downsample)
    if kind == "high":
        high = message.high
        return ExactWindow(
            _valid(f"{field}.high", lambda: Window(high.x, high.y, high.downsample, high.size)),
        )
    return None


def refinement(message: segmentation_pb2.Refinement, field: str) -> Refinement:
    """How far a border is to be refined; the server's own bound on windows is checked elsewhere."""
    wanted = Refinement()
    if message.HasField("downsample"):
        if not MIN_DOWNSAMPLE <= message.downsample <= MAX_DOWNSAMPLE:
            raise invalid(f"{field}.downsample", f"it must lie between {MIN_DOWNSAMPLE} and {MAX_DOWNSAMPLE:g}")
        wanted = replace(wanted, downsample=message.downsample)
    if message.HasField("max_windows"):
        wanted = replace(wanted, max_windows=message.max_windows)
    return wanted


def pixel_source(message: segmentation_pb2.PixelSource, field: str) -> tuple[SlideSize, float | None]:
    """Size and pixel size of an image that the client has open; a size that no microscope has counts as unknown."""
    if message.width > MAX_SIDE or message.height > MAX_SIDE:
        raise invalid(field, f"a side may be at most {MAX_SIDE} pixels")
    size = _valid(field, lambda: SlideSize(message.width, message.height))
    return size, pixel_size(message, f"{field}.")


def pixel_size(
    message: segmentation_pb2.PixelSource
    | segmentation_pb2.SegmentRequest
    | segmentation_pb2.SegmentBatchRequest
    | segmentation_pb2.SegmentEverythingRequest
    | segmentation_pb2.Start,
    path: str,
) -> float | None:
    """Microns per level-0 pixel as the client knows it; one that no microscope has counts as unknown."""
    mpp = message.mpp if message.HasField("mpp") else None
    if mpp is not None and not 0 < mpp < math.inf:
        raise invalid(f"{path}mpp", "it must be a number greater than 0; leave it unset when unknown")
    return mean_mpp(mpp, mpp)


def tile(message: segmentation_pb2.PixelTile, field: str) -> tuple[PixelWindow, Encoding, bytes]:
    """A tile's window, the name of its encoding, and its bytes."""
    if message.encoding not in TILE_ENCODINGS:
        raise invalid(f"{field}.encoding", "it must be RAW, PNG or JPEG")
    window = message.window
    key = PixelWindow(
        x=window.x,
        y=window.y,
        width=window.width,
        height=window.height,
        tile_width=window.tile_width,
        tile_height=window.tile_height,
        downsample=window.downsample,
    )
    return key, TILE_ENCODINGS[message.encoding], message.data


def _valid(field: str, make: Callable[[], Value]) -> Value:
    try:
        return make()
    except ValueError as error:
        raise invalid(field, str(error)) from error
