"""Domain values to messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsisam.v1 import geometry_pb2, segmentation_pb2
from wsisam_server.core.answers import Candidate, ClickStatus, Likeness, Outcome, Proposal, SurveyStep
from wsisam_server.core.pixel_size import PixelSizeSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsisam_server.annotations.store import Saved
    from wsisam_server.core.geometry import FieldPair, Window
    from wsisam_server.core.pixel_size import PixelSize
    from wsisam_server.core.pixels import PixelWindow

PIXEL_SIZE_SOURCES = {
    PixelSizeSource.NOBODY: segmentation_pb2.PIXEL_SIZE_SOURCE_UNSPECIFIED,
    PixelSizeSource.SLIDE: segmentation_pb2.PIXEL_SIZE_SOURCE_SLIDE,
    PixelSizeSource.CLIENT: segmentation_pb2.PIXEL_SIZE_SOURCE_CLIENT,
}


def window(value: Window) -> geometry_pb2.Window:
    """A square patch."""
    return geometry_pb2.Window(x=value.x, y=value.y, downsample=value.downsample, size=value.size)


def field(value: FieldPair) -> geometry_pb2.Field:
    """Both patches."""
    return geometry_pb2.Field(high=window(value.high), low=window(value.low))


def unit(*, in_microns: bool) -> geometry_pb2.LengthUnit.ValueType:
    """The unit of lengths on a slide."""
    return geometry_pb2.LENGTH_UNIT_MICRON if in_microns else geometry_pb2.LENGTH_UNIT_PIXEL


def outline(outcome: Outcome, saved: Saved | None = None) -> segmentation_pb2.Outline:
    """An answer, and what became of it when it was to be kept."""
    made, times = outcome.outline, outcome.times
    return segmentation_pb2.Outline(
        geometry=areas(outcome.encoded),
        score=outcome.score,
        field=field(outcome.field),
        cut_by_field=made.touches_window_edge,
        tolerance=outcome.tolerance,
        unit=unit(in_microns=outcome.in_microns),
        dropped_parts=made.dropped_parts,
        dropped_holes=made.dropped_holes,
        model=outcome.model.name,
        weights_hash=outcome.model.weights_hash,
        timings=segmentation_pb2.Timings(
            queue_ms=times.queue,
            read_ms=times.read,
            encode_ms=times.encode,
            decode_ms=times.decode,
            polygon_ms=outcome.polygon_ms,
            encoder_runs=times.encoder_runs,
        ),
        saved=None if saved is None else saved_annotation(saved),
        levels=[
            segmentation_pb2.Level(
                downsample=level.downsample,
                windows=level.windows,
                rejected=level.rejected,
                unreadable=level.unreadable,
            )
            for level in outcome.levels
        ],
        truncated=outcome.truncated,
        pixel_size=pixel_size(outcome.pixel_size),
        unhonoured_points=outcome.unhonoured,
        candidates=map(_candidate, outcome.candidates),
        chosen=outcome.chosen,
    )


def areas(encoded: list[list[list[int]]]) -> geometry_pb2.MultiPolygon:
    """Polygons in their integer form (see `shapes.encode`)."""
    polygons = (geometry_pb2.Polygon(rings=[geometry_pb2.Ring(deltas=ring) for ring in part]) for part in encoded)
    return geometry_pb2.MultiPolygon(polygons=polygons)


def _candidate(value: Candidate) -> segmentation_pb2.Candidate:
    return segmentation_pb2.Candidate(
        geometry=areas(value.encoded),
        score=value.score,
        number=value.number,
        cut_by_field=value.outline.touches_window_edge,
        unhonoured_points=value.unhonoured,
    )


def pixel_size(value: PixelSize) -> segmentation_pb2.PixelSize:
    """The pixel size that an answer was made with."""
    return segmentation_pb2.PixelSize(
        mpp=value.mpp, source=PIXEL_SIZE_SOURCES[value.source], ignored_mpp=value.ignored_mpp
    )


def survey_step(
    step: SurveyStep, *, windows_total: int, downsample: float, found_with: PixelSize
) -> segmentation_pb2.SegmentEverythingResponse:
    """What became final in a region, and how far its search is.

    Args:
        step: what became final.
        windows_total: windows of the whole search.
        downsample: of each of them.
        found_with: the pixel size that lengths follow from.
    """
    by_name = {fate.value: step.counts[fate] for fate in ClickStatus}
    return segmentation_pb2.SegmentEverythingResponse(
        proposals=map(_proposal, step.proposals),
        windows_done=step.done,
        windows_total=windows_total,
        counts=segmentation_pb2.ProposalCounts(clicks=sum(by_name.values()), **by_name),
        unit=unit(in_microns=found_with.mpp is not None),
        downsample=downsample,
        unreadable=map(window, step.unreadable),
        pixel_size=pixel_size(found_with),
        likeness=None if step.likeness is None else _likeness(step.likeness, found_with.mpp or 1.0),
    )


def _likeness(value: Likeness, unit_px: float) -> segmentation_pb2.Likeness:
    """What followed from exemplars, with sizes in the unit of a filter's."""
    return segmentation_pb2.Likeness(
        min_size=value.min_size * unit_px,
        max_size=value.max_size * unit_px,
        expected_precision=value.expected_precision,
        unsure=value.unsure,
    )


def _proposal(value: Proposal) -> segmentation_pb2.Proposal:
    """An object that nobody had pointed at."""
    box = value.outcome.prompt.box
    asked = segmentation_pb2.Prompt()
    if box is None:
        at = geometry_pb2.Point(x=value.click.x, y=value.click.y)
        asked.points.add(position=at, label=segmentation_pb2.POINT_LABEL_POSITIVE)
    else:
        asked.box.CopyFrom(geometry_pb2.Box(x0=box.x0, y0=box.y0, x1=box.x1, y1=box.y1))
    return segmentation_pb2.Proposal(
        outline=outline(value.outcome),
        prompt=asked,
        stability=value.stability,
        agreement=value.agreement,
        similarity=value.similarity,
        path_class=segmentation_pb2.PathClass(name=value.path_class) if value.path_class else None,
    )


def saved_annotation(value: Saved) -> segmentation_pb2.SavedAnnotation:
    """What became of an annotation."""
    return segmentation_pb2.SavedAnnotation(id=str(value.id), revision=value.revision, unchanged=value.unchanged)


def pixels_needed(windows: Sequence[PixelWindow]) -> segmentation_pb2.PixelsNeeded:
    """The windows to send pixels of."""
    return segmentation_pb2.PixelsNeeded(
        windows=[
            segmentation_pb2.PixelWindow(
                x=value.x,
                y=value.y,
                width=value.width,
                height=value.height,
                tile_width=value.tile_width,
                tile_height=value.tile_height,
                downsample=value.downsample,
            )
            for value in windows
        ]
    )


def place(value: PixelWindow) -> dict[str, int]:
    """Which window an error is about, for its details."""
    return {"x": value.x, "y": value.y, "width": value.width, "height": value.height}
