"""Requests with exemplars to domain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wsisam.v1 import segmentation_pb2
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.requests import MAX_OVERLAP, Exemplar, LikeRequest
from wsisam_server.core.shapes import polygonal
from wsisam_server.wire.annotation_from_proto import annotation_id
from wsisam_server.wire.from_proto import areas, invalid, options, proposal_filter, region_and_existing

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping

    from wsisam_server.annotations.store import Annotation
    from wsisam_server.core.settings import Limits

MOST_EXEMPLARS: Final = 200
"""Each may lie in a window of its own, which is an encoder run. More than a few dozen say nothing new."""

_LABELS: Final = {
    segmentation_pb2.EXEMPLAR_LABEL_POSITIVE: True,
    segmentation_pb2.EXEMPLAR_LABEL_NEGATIVE: False,
}


@dataclass(frozen=True, slots=True)
class ExemplarId:
    """An exemplar that is a stored annotation.

    Attributes:
        number: of the exemplar in the request.
        id: the annotation's.
    """

    number: int
    id: uuid.UUID

    @property
    def field(self) -> str:
        """Its path in the request."""
        return f"exemplars[{self.number}].annotation_id"


def exemplar_ids(message: segmentation_pb2.SegmentEverythingRequest) -> list[ExemplarId]:
    """The stored annotations among the exemplars.

    Raises:
        WsiSamServerError: INVALID_FIELD: no id, or too many exemplars.
    """
    if len(message.exemplars) > MOST_EXEMPLARS:
        problem = f"there are {len(message.exemplars)}, and the limit is {MOST_EXEMPLARS}; choose some that differ"
        raise invalid("exemplars", problem)
    return [
        ExemplarId(number, annotation_id(one.annotation_id, f"exemplars[{number}].annotation_id"))
        for number, one in enumerate(message.exemplars)
        if one.WhichOneof("source") == "annotation_id"
    ]


def like(
    message: segmentation_pb2.SegmentEverythingRequest,
    principal: str,
    limits: Limits,
    stored: Mapping[int, Annotation],
) -> LikeRequest:
    """A region that is to be searched for what looks like exemplars.

    Args:
        message: with exemplars, see `exemplar_ids`.
        principal: see `Job`.
        limits: of the server.
        stored: the annotations that exemplars name, by the exemplars' numbers.

    Raises:
        WsiSamServerError: INVALID_FIELD; INVALID_REGION where it has too many vertices.
    """
    common, filtered = region_and_existing(message, principal, limits), message.filter
    sizes = None
    if filtered.min_size or filtered.max_size:
        wanted = proposal_filter(filtered, "filter")
        sizes = wanted.min_size, wanted.max_size
    for name in ("min_score", "min_stability", "min_agreement", "max_overlap"):
        if filtered.HasField(name) and not 0 <= getattr(filtered, name) <= 1:
            raise invalid(f"filter.{name}", "it must lie between 0 and 1")
    if message.HasField("min_similarity") and not 0 <= message.min_similarity <= 1:
        raise invalid("min_similarity", "it must lie between 0 and 1")
    return LikeRequest(
        **common,
        options=options(message.options, "options"),
        exemplars=[_exemplar(message, number, stored.get(number)) for number in range(len(message.exemplars))],
        sizes=sizes,
        min_score=filtered.min_score if filtered.HasField("min_score") else None,
        min_stability=filtered.min_stability if filtered.HasField("min_stability") else 0.0,
        min_agreement=filtered.min_agreement if filtered.HasField("min_agreement") else 0.0,
        min_similarity=message.min_similarity if message.HasField("min_similarity") else None,
        max_overlap=filtered.max_overlap if filtered.HasField("max_overlap") else MAX_OVERLAP,
    )


def unknown_slide(one: ExemplarId, error: WsiSamServerError) -> WsiSamServerError:
    """What is wrong with an exemplar whose slide is not open here."""
    if error.reason is not Reason.UNKNOWN_SLIDE_ID:
        return error
    return invalid(one.field, "its slide is not open on this server; open it there first")


def _exemplar(message: segmentation_pb2.SegmentEverythingRequest, number: int, stored: Annotation | None) -> Exemplar:
    one, field = message.exemplars[number], f"exemplars[{number}]"
    if one.label not in _LABELS:
        raise invalid(f"{field}.label", "it must be POSITIVE or NEGATIVE")
    positive, name = _LABELS[one.label], one.path_class.name
    if stored is not None:
        content = stored.content
        if not name and content.path_class is not None:
            name = content.path_class.name
        return Exemplar(content.slide_id, polygonal(content.shape), positive, name)
    if one.WhichOneof("source") != "geometry":
        raise invalid(field, "it has neither geometry nor annotation_id")
    return Exemplar(one.slide_id or message.slide_id, areas(one.geometry, f"{field}.geometry"), positive, name)
