"""What was answered about one slide, as JSON for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wsisam_server.cli.prompts import PromptOutline

VERSION: Final = 1
"""Of the form: fields are added, never renamed."""


def answers_json(slide: Path, results: Sequence[PromptOutline], problems: Sequence[str]) -> dict[str, Any]:
    """All answers, with polygons in level-0 pixels.

    Args:
        slide: as it was named.
        results: of the prompts that were answered, in their order.
        problems: of the others, each with its prompt.
    """
    return {
        "version": VERSION,
        "slide": str(slide),
        "answers": [_answer(result) for result in results],
        "problems": list(problems),
    }


def _answer(result: PromptOutline) -> dict[str, Any]:
    answer = result.message
    window = answer.field.high
    return {
        "id": result.id,
        "prompt": result.text,
        "geometry": None if result.is_empty else dict(result.geometry.__geo_interface__),
        "area": result.geometry.area,
        "score": answer.score,
        "model": answer.model,
        "weights": answer.weights_hash,
        "window": {"x": window.x, "y": window.y, "downsample": window.downsample, "size": window.size},
        "mpp": answer.pixel_size.mpp if answer.pixel_size.HasField("mpp") else None,
        "cut_by_field": answer.cut_by_field,
        "unhonoured_points": list(answer.unhonoured_points),
        "candidates": [
            {"number": one.number, "score": one.score, "area": shape.area, "geometry": dict(shape.__geo_interface__)}
            for one, shape in result.others
        ],
        "revision": answer.saved.revision if answer.HasField("saved") else None,
    }
