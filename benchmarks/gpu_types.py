"""Parts of `on_gpu.py`: what a number type costs in accuracy, against float32 and against what is drawn."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from gpu_models import TYPES, fresh, shipped
from number_types import TypeUse, compare
from on_slide import spread
from timed_parts import FAILED, TimeIsUpError, reason

from wsisam_server.core.settings import Limits
from wsisam_server.learning.datasets import read_manifest
from wsisam_server.learning.evaluation import EvaluationOptions, evaluate
from wsisam_server.learning.evaluation.scores import interval
from wsisam_server.slides import open_slide

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gpu_setting import Setting
    from timed_parts import Deadline, Row

PROMPTS = ("box", "1", "3", "5")


def _loaded(device: str) -> tuple[dict[str, TypeUse], dict[str, str]]:
    """The shipped model in each number type, and why it is not there in the others."""
    ways, failed = {}, {}
    for kind in TYPES:
        try:
            kind.check(device)
            ways[kind.name] = TypeUse(shipped(device, kind.dtype), kind.within)
        except Exception as error:  # noqa: BLE001 - the others may do
            failed[kind.name] = reason(error)
    return ways, failed


def type_rows(setting: Setting, deadline: Deadline) -> Iterator[Row]:
    """How far the shipped model's masks are from those in float32, and what it takes."""
    fresh(setting.device)
    ways, failed = _loaded(setting.device)
    slide = open_slide(setting.slide, Limits())
    compare(list(ways.values()), slide, deadline.each(spread(slide, setting.sizes.type_fields)), setting.sizes.boxes)
    for name, way in ways.items():
        yield {
            "number type": name,
            "encode ms": 1000 * statistics.median(way.encoded[1:] or way.encoded),
            "decode ms": 1000 * statistics.median(way.decoded[1:] or way.decoded),
            "boxes": len(way.dices) or None,
            "Dice to float32": statistics.mean(way.dices) if way.dices else None,
            "least": min(way.dices, default=None),
        }
    for name, why in failed.items():
        yield {"number type": name, FAILED: why}


def truth_rows(setting: Setting, deadline: Deadline) -> Iterator[Row]:
    """Dice to what is drawn, on the same objects in each number type."""
    ways, failed = _loaded(setting.device)
    for manifest, share in deadline.shares(setting.manifests):
        found: dict[str, dict[tuple[int, int, str], float]] = {}
        wrong = dict(failed)
        for (name, way), own in share.shares(list(ways.items())):
            try:
                found[name] = _dices(way, manifest, setting.sizes.objects, own)
            except Exception as error:  # noqa: BLE001 - the other number types may do
                wrong[name] = reason(error)
        yield from _differences(manifest.stem, found, wrong)


def _dices(way: TypeUse, manifest: Path, objects: int, deadline: Deadline) -> dict[tuple[int, int, str], float]:
    """By manifest line, object and prompt, of as many objects as there is time for: the first ones, always the same."""
    found: dict[tuple[int, int, str], float] = {}

    def listener(row: Any, _: Any, item: Any, case: Any) -> None:
        found[row.line, item.label, case.name] = case.dice

    def progress(done: int, total: int) -> None:
        if 0 < done < total and not deadline.left:
            deadline.cut = True
            raise TimeIsUpError

    options = EvaluationOptions(PROMPTS, max_objects=objects, finish=True)
    try:
        with way.within():
            evaluate(way.model, read_manifest(manifest, split="val"), options, progress=progress, listener=listener)
    except TimeIsUpError:
        pass
    return found


def _differences(
    name: str, found: dict[str, dict[tuple[int, int, str], float]], wrong: dict[str, str]
) -> Iterator[Row]:
    exact = found.pop("float32", None)
    if exact is None:
        yield {"set": name, FAILED: wrong.pop("float32")}
        return
    for prompt in PROMPTS:
        keys = [key for key in exact if key[2] == prompt and all(key in other for other in found.values())]
        row: Row = {"set": name, "prompt": prompt, "objects": len(keys)}
        if keys:
            row["Dice in float32"] = statistics.mean(exact[key] for key in keys)
            for kind, other in found.items():
                gains = [other[key] - exact[key] for key in keys]
                low, high = interval(gains, 0)
                row[f"{kind} less float32"] = f"{statistics.mean(gains):+.4f} [{low:+.4f}, {high:+.4f}]"
        yield row | {f"{kind} less float32": why for kind, why in wrong.items()}
