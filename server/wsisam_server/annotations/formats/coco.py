"""COCO's JSON for object detection: what most training programs read."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import shapely

from wsisam_server.annotations.formats.categories import NO_CLASS, numbered
from wsisam_server.annotations.formats.errors import FormatError
from wsisam_server.core.shapes import polygonal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from shapely.geometry.base import BaseGeometry

    from wsisam_server.annotations.store import Annotation, SlideRecord

_NO_AREA: Final = "points and lines, which COCO does not have"
_OUTSIDE: Final = "outside their slide"


def write(
    annotations: Collection[Annotation], slides: Collection[SlideRecord], ids: Mapping[str, int] | None = None
) -> tuple[str, Counter[str]]:
    """Annotations of any slides as one COCO file, in level-0 pixels.

    COCO has areas only, as outer borders. A part with holes is written as one border that goes to each hole and back
    over a bridge without width, which every program that fills it draws with the holes. What reaches beyond the slide
    is cut at its edge, since an image has no pixels there.

    Args:
        annotations: any.
        slides: all those that they are on.
        ids: of the categories by name, see `categories.numbered`; all are written, whether used or not. Without them,
            the classes of these annotations are counted in the order of their names.

    Returns:
        The text, and what it could not hold, in words, and how often.

    Raises:
        FormatError: the size of a slide is not known.
    """
    names = _file_names(slides)
    images = {record.slide_id: _image(number, record, names) for number, record in enumerate(slides, 1)}
    if ids is None:
        ids = numbered(category(one) for one in annotations if _has_area(one))
    objects: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    for annotation in annotations:
        if not _has_area(annotation):
            left_out[_NO_AREA] += 1
            continue
        image = images[annotation.content.slide_id]
        shape = _within(annotation.content.shape, image["width"], image["height"])
        if shape.is_empty:
            left_out[_OUTSIDE] += 1
            continue
        left, top, right, bottom = shape.bounds
        objects.append(
            {
                "id": len(objects) + 1,
                "image_id": image["id"],
                "category_id": ids[category(annotation)],
                "segmentation": [_border(part) for part in shapely.get_parts(shape)],
                "area": shape.area,
                "bbox": [left, top, right - left, bottom - top],
                "iscrowd": 0,
                "uuid": str(annotation.id),
            }
        )
    whole = {
        "info": {"description": "annotations of wsisam, level-0 pixels"},
        "images": list(images.values()),
        "annotations": objects,
        "categories": [{"id": number, "name": name} for name, number in ids.items()],
    }
    return json.dumps(whole, ensure_ascii=False), left_out


def category(annotation: Annotation) -> str:
    """The name of an annotation's category."""
    path_class = annotation.content.path_class
    return NO_CLASS if path_class is None else path_class.name


def _has_area(annotation: Annotation) -> bool:
    return annotation.content.shape.geom_type in {"Polygon", "MultiPolygon"}


def _within(shape: BaseGeometry, width: int, height: int) -> BaseGeometry:
    left, top, right, bottom = shape.bounds
    if left >= 0 and top >= 0 and right <= width and bottom <= height:
        return shape
    return polygonal(shapely.intersection(shape, shapely.box(0, 0, width, height)))


def _image(number: int, record: SlideRecord, names: Mapping[str, str]) -> dict[str, Any]:
    name = names[record.slide_id]
    if record.size is None:
        raise FormatError(
            f"the store does not know the size of the slide {name}, which COCO needs; name its file with --slide"
        )
    image = {"id": number, "file_name": name, "width": record.size.width, "height": record.size.height}
    return image | {"slide_id": record.slide_id}


def _file_names(slides: Collection[SlideRecord]) -> dict[str, str]:
    """A name for each slide, no two the same: its file's; where several share that, with as many folders as it takes.

    Slides that were seen at the same place, one after the other, have their id's beginning in their names.
    """
    paths = {record.slide_id: _path(record) for record in slides}
    depths = dict.fromkeys(paths, 1)
    while True:
        names = {one: "/".join(path[-depths[one] :]) for one, path in paths.items()}
        shared = Counter(names.values())
        longer = [one for one, path in paths.items() if shared[names[one]] > 1 and depths[one] < len(path)]
        if not longer:
            break
        for one in longer:
            depths[one] += 1
    return {one: _with_id(name, one) if shared[name] > 1 else name for one, name in names.items()}


def _path(record: SlideRecord) -> tuple[str, ...]:
    """The parts of where the slide was seen last, without a drive or the like."""
    place = unquote(record.uris[-1] if record.uris else record.slide_id).replace("\\", "/")
    parts = tuple(part for part in PurePosixPath(place).parts if part.strip("/") and not part.endswith(":"))
    return parts or (record.slide_id,)


def _with_id(name: str, slide_id: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem}-{re.sub(r'[^A-Za-z0-9]', '', slide_id)[:12]}{path.suffix}"))


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
