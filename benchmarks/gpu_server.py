"""Parts of `on_gpu.py` that ask a server, through gRPC."""

from __future__ import annotations

import statistics
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import psutil
from annotators import Annotator, Tissue, by_kind
from gpu_models import FLOAT16, FLOAT32, DeviceMemory
from on_slide import shuffled, spread
from speed import Baseline, answered, click_times
from timed_parts import FAILED, Deadline, Row, attempt, reason

from wsisam_server.core.settings import Limits
from wsisam_server.slides import open_slide

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpu_setting import Setting
    from on_slide import Server

NO_BOUNDS = {
    "streams_per_user": 1000,
    "messages_per_second_per_user": 100_000,
    "message_burst_per_user": 100_000,
    "queued_prompts_per_user": 100_000,
}
"""All users are one to a server without tokens."""


def click_rows(setting: Setting, deadline: Deadline) -> Iterator[Row]:
    """A first click in a field, a further one, and a batch, through gRPC."""
    sizes, slide = setting.sizes, open_slide(setting.slide, Limits())
    fields = spread(slide, sizes.click_fields + sizes.batch_fields)
    baseline = Baseline(slide, setting.device)
    for kind, share in deadline.shares((FLOAT32, FLOAT16)):
        row: Row = {"number type": kind.name}
        try:
            with DeviceMemory(setting.device) as memory, setting.server(kind) as server:
                slide_id = server.client.open_slide(str(setting.slide)).slide_id
                clicks = Deadline(0.5 * share.left)
                times = click_times(server, slide_id, baseline, clicks.each(fields[sizes.batch_fields :]))
                share.cut = share.cut or clicks.cut
                usual = statistics.median(times.plain[1:] or times.plain)
                peak = {"peak MiB": memory.peak_mib()}
                yield row | {"what": "straightforward, in float32, without a server"} | _spent(times.plain, usual)
                yield row | {"what": "cold click"} | _spent(times.cold, usual) | peak
                yield row | {"what": "warm click"} | _spent(times.warm, usual) | peak
                prompts = shuffled(fields[: sizes.batch_fields], sizes.batch)
                before, started = server.encoder_runs(), time.perf_counter()
                count = sum(1 for _ in share.each(answered(server, slide_id, prompts)))
                spent = time.perf_counter() - started
                yield row | {
                    "what": f"batch, boxes in {sizes.batch_fields} fields",
                    "n": count,
                    "a second": count / spent,
                    "ratio to straightforward": usual / (spent / count),
                    "encoder runs": server.encoder_runs() - before,
                    "peak MiB": memory.peak_mib(),
                }
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the other number type may do
            yield row | {FAILED: reason(error)}


def _spent(times: Sequence[float], usual: float) -> Row:
    """Of clicks; the first one warms up."""
    some = [1000 * one for one in times[1:] or times]
    p50, p95 = (float(value) for value in np.percentile(some, (50, 95)))
    return {"n": len(some), "p50 ms": p50, "p95 ms": p95, "ratio to straightforward": 1000 * usual / p50}


def user_rows(setting: Setting, deadline: Deadline) -> Iterator[Row]:
    """So many users of one server, who click again as soon as they have an answer."""
    tissue = Tissue(setting.slide)
    with DeviceMemory(setting.device) as memory, setting.server(FLOAT32, **NO_BOUNDS) as server:
        for count, share in deadline.shares(setting.sizes.users):
            if share.left < 1 and count != setting.sizes.users[0]:
                deadline.cut = True
                return
            lasting = max(min(share.left, setting.sizes.users_seconds), 1.0)
            found = attempt({"users": count}, partial(_together, server, tissue, count, lasting))
            yield found | {"peak MiB": memory.peak_mib()}


def _together(server: Server, tissue: Tissue, count: int, lasting: float) -> Row:
    users = [Annotator(f"{number} of {count}", "", tissue, think=0.001) for number in range(count)]
    stop, process = threading.Event(), psutil.Process(server.pid)
    threads = [threading.Thread(target=user.work, args=(server.target, stop)) for user in users]
    started, own, theirs = time.perf_counter(), time.process_time(), _processor(process)
    try:
        for thread in threads:
            thread.start()
        stop.wait(lasting)
    finally:
        stop.set()  # else nobody would ever tell them to go home
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - started
    if errors := [error for user in users for error in user.errors]:
        raise RuntimeError(f"{len(errors)} errors, the first: {errors[0]}")
    clicks = [click for user in users for click in user.clicks]
    row: Row = {"clicks": len(clicks), "clicks a second": len(clicks) / spent}
    for kind, numbers in by_kind(clicks).items():
        row |= {f"{kind}: {name} ms": numbers[name] if numbers["clicks"] else None for name in ("p50", "p95")}
    row["cold share"] = sum(not click.warm for click in clicks) / max(len(clicks), 1)
    # Python serves and asks with one core each: which of the two is at its end?
    row["cores of the server"] = (_processor(process) - theirs) / spent
    row["cores of the clients"] = (time.process_time() - own) / spent
    return row


def _processor(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
