"""How an outline was made, as texts that travel with an object in QuPath, and back.

The keys and the form of the prompts are those that the QuPath scripts write.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import shapely

from wsisam_server.annotations.store import Level, Provenance
from wsisam_server.core.geometry import Box, FieldPair, Point, Window
from wsisam_server.core.prompt import PromptPoint, SlidePrompt
from wsisam_server.core.shapes import on_grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsisam_server.annotations.store import Content

MODEL: Final = "wsisam.model"
WEIGHTS: Final = "wsisam.weights"
PROMPTS: Final = "wsisam.prompts"
WINDOW: Final = "wsisam.window"
SCORE: Final = "wsisam.score"
LEVELS: Final = "wsisam.levels"
CUT: Final = "wsisam.cut_by_field"
CLIENT: Final = "wsisam.client"

_ALL: Final = frozenset({MODEL, WEIGHTS, PROMPTS, WINDOW, SCORE, LEVELS, CUT, CLIENT})


def to_metadata(made: Provenance) -> dict[str, str]:
    """An outline's origin as metadata."""
    metadata = {MODEL: made.model, WEIGHTS: made.weights_hash}
    if made.prompt is not None:
        metadata[PROMPTS] = _text([_ask(made)])
    if made.field is not None:
        metadata[WINDOW] = _text(_window(made.field))
    if made.score is not None:
        metadata[SCORE] = repr(made.score)
    if made.levels:
        metadata[LEVELS] = _text([[_number(level.downsample), level.windows] for level in made.levels])
    return metadata


def split(metadata: Mapping[str, str]) -> tuple[Provenance | None, dict[str, str]]:
    """An outline's origin, and the metadata that say nothing of it.

    What says more of it than is kept, such as the earlier prompts of an object that was refined click by click, stays
    in the metadata, too.
    """
    made = _read(metadata)
    if made is None:
        return None, dict(metadata)
    said = to_metadata(made)
    if any(metadata.get(key) != value for key, value in said.items()):
        return made, dict(metadata)
    return made, {key: value for key, value in metadata.items() if key not in said}


def with_levels(content: Content) -> Content:
    """What came in a file into the store's first form, as it is read now.

    That form had no scales of a refined border: they stayed in the metadata, alone or with all that says more.
    """
    made = content.provenance
    if made is None or made.levels or LEVELS not in content.metadata:
        return content
    said = content.metadata if MODEL in content.metadata else {**to_metadata(made), **content.metadata}
    read, rest = split(said)
    if read is None or read.weights_hash != made.weights_hash:
        return content  # of an earlier drawing
    return replace(content, provenance=replace(made, levels=read.levels), metadata=rest)


def without(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata that say nothing of an outline's origin, for one that is drawn anew."""
    return {key: value for key, value in metadata.items() if key not in _ALL}


def _read(metadata: Mapping[str, str]) -> Provenance | None:
    if MODEL not in metadata:
        return None
    try:
        asks = json.loads(metadata.get(PROMPTS, "[]"))
        return Provenance(
            model=metadata[MODEL],
            weights_hash=metadata.get(WEIGHTS, ""),
            prompt=_prompt(asks[-1]) if asks else None,
            field=FieldPair(_to_window(json.loads(metadata[WINDOW]))) if WINDOW in metadata else None,
            score=_finite(metadata[SCORE]) if SCORE in metadata else None,
            levels=tuple(_to_scale(*level) for level in json.loads(metadata.get(LEVELS, "[]"))),
        )
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError):
        return None  # somebody else's, or changed by hand: then it is metadata as any other


def _ask(made: Provenance) -> dict[str, Any]:
    assert made.prompt is not None
    ask: dict[str, Any] = {}
    box = made.prompt.box
    if box is not None:
        ask["box"] = [_number(value) for value in (box.x0, box.y0, box.x1, box.y1)]
    if made.prompt.points:
        ask["points"] = [_point(mark) for mark in made.prompt.points]
    if made.prompt.shape is not None:
        ask["shape"] = [
            [[_number(value) for value in shapely.get_coordinates(ring)[:-1].ravel().tolist()] for ring in rings]
            for rings in ((part.exterior, *part.interiors) for part in made.prompt.shape.geoms)
        ]
    if made.prompt.candidate is not None:
        ask["candidate"] = made.prompt.candidate
    if made.field is not None:
        ask["window"] = _window(made.field)
    return ask


def _prompt(ask: dict[str, Any]) -> SlidePrompt:
    points = tuple(
        PromptPoint(Point(x, y), positive > 0, *map(_whole, candidate))
        for x, y, positive, *candidate in ask.get("points", ())
    )
    return SlidePrompt(
        points,
        box=Box(*ask["box"]) if "box" in ask else None,
        shape=_shape(ask["shape"]) if "shape" in ask else None,
        candidate=_whole(ask["candidate"]) if "candidate" in ask else None,
    )


def _point(mark: PromptPoint) -> list[float]:
    said = [_number(mark.position.x), _number(mark.position.y), int(mark.positive)]
    return said if mark.candidate is None else [*said, mark.candidate]


def _shape(polygons: list[list[list[float]]]) -> shapely.MultiPolygon:
    """Polygons as rings of x, y, x, y, ..., on the grid of what travels."""
    parts = [[np.asarray(ring, np.float64).reshape(-1, 2) for ring in rings] for rings in polygons]
    if not parts or not all(np.isfinite(ring).all() for rings in parts for ring in rings):
        raise ValueError("it is no area")
    drawn = shapely.MultiPolygon([shapely.Polygon(shell, holes) for shell, *holes in parts])
    return on_grid(drawn)


def _whole(value: float) -> int:
    if value != int(value) or value < 0:
        raise ValueError(f"{value} is no number of a candidate")
    return int(value)


def _window(field: FieldPair) -> list[float]:
    high = field.high
    return [_number(high.x), _number(high.y), _number(high.downsample), high.size]


def _to_window(values: list[float]) -> Window:
    x, y, downsample, size = values
    return Window(x, y, downsample, int(size))


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no score")
    return number


def _to_scale(downsample: float, windows: float) -> Level:
    return Level(float(downsample), int(windows))


def _number(value: float) -> float:
    return int(value) if float(value).is_integer() else value


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
