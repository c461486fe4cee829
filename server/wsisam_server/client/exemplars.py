"""Exemplars as messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import shapely

from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client.polygons import areas

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

    Shown: TypeAlias = "shapely.Polygon | shapely.MultiPolygon | OnSlide | uuid.UUID | str"


@dataclass(frozen=True, slots=True)
class OnSlide:
    """An object of another slide than the one that is searched.

    Attributes:
        slide_id: an open slide that the server reads itself.
        shape: level-0 pixels of that slide.
    """

    slide_id: str
    shape: shapely.Polygon | shapely.MultiPolygon


def exemplars(positive: Iterable[Shown], negative: Iterable[Shown] = (), path_class: str = "") -> Iterator[pb.Exemplar]:
    """What shows the objects that are looked for, and what is not looked for.

    Args:
        positive: areas in level-0 pixels of the slide that is searched, areas of another slide, or ids of stored
            annotations.
        negative: the same.
        path_class: name of the positive ones' class; empty for none, or the annotations' own.
    """
    labels = ((positive, pb.EXEMPLAR_LABEL_POSITIVE), (negative, pb.EXEMPLAR_LABEL_NEGATIVE))
    for shown, label in labels:
        for one in shown:
            message = pb.Exemplar(label=label)
            if isinstance(one, shapely.Geometry):
                message.geometry.CopyFrom(areas(one))
            elif isinstance(one, OnSlide):
                message.geometry.CopyFrom(areas(one.shape))
                message.slide_id = one.slide_id
            else:
                message.annotation_id = str(one)
            if path_class and label == pb.EXEMPLAR_LABEL_POSITIVE:
                message.path_class.name = path_class
            yield message
