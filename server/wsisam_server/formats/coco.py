"""COCO's JSON for object detection: what most training programs read."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import shapely

from wsisam_server.formats.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from wsisam_server.store import Annotation, SlideRecord

NO_CLASS: Final = "unclassified"


def write(annotations: Iterable[Annotation], slides: Collection[SlideRecord]) -> tuple[str, Counter[str]]:
    """Annotations of any slides as one COCO file, in level-0 pixels.

    COCO has areas only, as outer borders. A part with holes is written as one border that goes to each hole and back
    over a bridge without width, which every program that fills it draws with the holes.

    Args:
        annotations: any.
        slides: all those that they are on.

    Returns:
        The text, and what it could not hold, in words, and how often.

    Raises:
        FormatError: the size of a slide is not known.
    """
    images = {record.slide_id: _image(number, record) for number, record in enumerate(slides, 1)}
    categories: dict[str, int] = {}
    objects: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    for annotation in annotations:
        content = annotation.content
        if content.shape.geom_type not in {"Polygon", "MultiPolygon"}:
            left_out["points and lines, which COCO does not have"] += 1
            continue
        name = NO_CLASS if content.path_class is None else content.path_class.name
        left, top, right, bottom = content.shape.bounds
        objects.append(
            {
                "id": len(objects) + 1,
                "image_id": images[content.slide_id]["id"],
                "category_id": categories.setdefault(name, len(categories) + 1),
                "segmentation": [_border(part) for part in shapely.get_parts(content.shape)],
                "area": content.shape.area,
                "bbox": [left, top, right - left, bottom - top],
                "iscrowd": 0,
                "uuid": str(annotation.id),
            }
        )
    whole = {
        "info": {"description": "annotations of wsisam, level-0 pixels"},
        "images": list(images.values()),
        "annotations": objects,
        "categories": [{"id": number, "name": name} for name, number in categories.items()],
    }
    return json.dumps(whole, ensure_ascii=False), left_out


def _image(number: int, record: SlideRecord) -> dict[str, Any]:
    if record.size is None:
        raise FormatError(
            f"the store does not know the size of the slide {_name(record)}, which COCO needs; name its file with "
            "--slide"
        )
    image = {"id": number, "file_name": _name(record), "width": record.size.width, "height": record.size.height}
    return image | {"slide_id": record.slide_id}


def _name(record: SlideRecord) -> str:
    """The last part of where the slide was seen last."""
    place = unquote(record.uris[-1] if record.uris else record.slide_id).replace("\\", "/")
    return PurePosixPath(place).name or record.slide_id


def _border(part: shapely.Polygon) -> list[float]:
    border = _open(part.exterior)
    for hole in sorted(part.interiors, key=lambda ring: ring.bounds):
        border = _bridged(border, _open(hole))
    return [value for vertex in border for value in vertex]


def _open(ring: shapely.LinearRing) -> list[tuple[float, float]]:
    return [(x, y) for x, y in shapely.get_coordinates(ring)[:-1].tolist()]


def _bridged(border: list[tuple[float, float]], hole: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """One border that goes round both: over to the nearest vertex of the hole, round it, and back."""
    # The bridge may cross other holes: it is gone over twice, so that it fills nothing.
    nearest, distances = shapely.STRtree(shapely.points(border)).query_nearest(
        shapely.points(hole), all_matches=False, return_distance=True
    )
    start, target = nearest[:, distances.argmin()].tolist()
    return [*border[: target + 1], *hole[start:], *hole[: start + 1], *border[target:]]
