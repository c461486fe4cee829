"""A server's numbers as tables for a terminal."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from wsisam_server.cli.numbers import shown

if TYPE_CHECKING:
    from rich.console import RenderableType

    from wsisam_server.service.metrics.scrape import Interval

STAGES: Final = ("queue", "read", "encode", "decode", "polygon")
STREAMS: Final = (
    "Segmentation/Interact",
    "Segmentation/SegmentBatch",
    "Segmentation/SegmentEverything",
    "Annotations/Watch",
)
MOST_ROWS: Final = 20

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400
_FULL: Final = 0.95


def screen(interval: Interval, trouble: str = "") -> RenderableType:
    """All of it.

    Args:
        interval: the time that counts and latencies are about; what is held and waits is as of its end.
        trouble: why there is nothing newer; empty when there is.
    """
    parts: list[RenderableType] = [Text(f"{trouble}. This is what was last seen", style="bold red")] if trouble else []
    beside = Table.grid(padding=(0, 3, 0, 0))
    beside.add_row(_latencies(interval), Group(_queues(interval), _memory(interval)))
    return Group(*parts, _head(interval), _users(interval), beside)


def _head(interval: Interval) -> Text:
    end = interval.end
    line = [f"counts and latencies {_period(interval)}"]
    if end.started is not None:
        line.insert(0, f"up {_duration(time.time() - end.started)}")
        line.insert(1, f"memory {shown(int(end.value('process_resident_memory_bytes')))}")
    return Text("wsisam: " + ", ".join(line), style="bold")


def _period(interval: Interval) -> str:
    return "since the start" if interval.begin is None else f"of the last {_duration(interval.seconds or 0)}"


def _users(interval: Interval) -> Table:
    table = _table("user", "streams", "calls", "prompts", "batch prompts", "refused or failed", "cancelled")
    calls = interval.end.by("wsisam_calls_running", "user")
    prompts = interval.by("wsisam_prompts_total", "user")
    busiest = sorted(calls | prompts, key=lambda user: (-calls.get(user, 0), -prompts.get(user, 0), user))
    for user in busiest[:MOST_ROWS]:
        streams = sum(interval.end.value("wsisam_calls_running", user=user, method=method) for method in STREAMS)
        results = interval.by("wsisam_prompts_total", "result", user=user)
        failed = sum(results.values()) - results.get("OK", 0) - results.get("CANCELLED", 0)
        counts = (
            interval.count("wsisam_prompts_total", user=user, kind="interactive", result="OK"),
            interval.count("wsisam_prompts_total", user=user, kind="batch", result="OK"),
        )
        table.add_row(
            Text(user),
            _number(streams),
            _number(calls.get(user, 0) - streams),
            *map(_number, counts),
            Text(_number(failed), style="red" if failed else ""),
            _number(results.get("CANCELLED", 0)),
        )
    if not busiest:
        table.add_row("nobody", *[""] * 6)
    if len(busiest) > MOST_ROWS:
        table.caption = f"and {len(busiest) - MOST_ROWS} more"
    return table


def _latencies(interval: Interval) -> Table:
    table = _table("latency", "count", "p50", "p95")
    for kind in ("interactive", "batch"):
        for state in ("warm", "cold"):
            _latency(table, interval, f"{kind}, {state}", "wsisam_prompt_seconds", kind=kind, state=state)
    table.add_section()
    for stage in STAGES:
        _latency(table, interval, stage, "wsisam_stage_seconds", stage=stage)
    return table


def _latency(table: Table, interval: Interval, title: str, name: str, **labels: str) -> None:
    times = (interval.quantile(name, share, **labels) for share in (0.5, 0.95))
    table.add_row(title, _number(interval.count(f"{name}_count", **labels)), *map(_milliseconds, times))


def _queues(interval: Interval) -> Table:
    table = _table("waiting for", "steps")
    for priority, depth in interval.end.by("wsisam_queue_depth", "priority").items():
        table.add_row(priority.replace("_", " "), _number(depth))
    return table


def _memory(interval: Interval) -> Table:
    end = interval.end
    table = _table("in memory", "")
    held, limit = end.value("wsisam_embedding_cache_bytes"), end.value("wsisam_embedding_cache_limit_bytes")
    full = Text(f"{shown(int(held))} / {shown(int(limit))}", style="yellow" if held > _FULL * limit else "")
    table.add_row("embeddings", full)
    lookups = interval.by("wsisam_embedding_cache_lookups_total", "result")
    asked = sum(lookups.values())
    hits = f"{1 - lookups.get('miss', 0) / asked:.0%} of {_number(asked)}" if asked else "-"
    table.add_row("found there", hits)
    ahead, used = (interval.count(f"wsisam_prefetched_fields{which}_total") for which in ("", "_used"))
    table.add_row("encoded ahead", f"{_number(ahead)}, {_number(used)} used")
    table.add_row("let go", _number(interval.count("wsisam_embedding_cache_evictions_total")))
    for model, nbytes in end.by("wsisam_model_bytes", "model").items():
        table.add_row(Text(f"model {model}"), shown(int(nbytes)))
    pixels = end.by("wsisam_open_slide_bytes", "source")
    for source, count in end.by("wsisam_open_slides", "source").items():
        table.add_row(f"slides, {source}", f"{_number(count)}, {shown(int(pixels.get(source, 0)))}")
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold cyan", pad_edge=False)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _number(value: float) -> str:
    return f"{value:.0f}"


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if math.isinf(seconds):
        return "beyond"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _duration(seconds: float) -> str:
    for unit, size in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
