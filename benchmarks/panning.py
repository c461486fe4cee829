"""Two people pan over a slide and click at human pace: how long first answers take, and what was encoded for nothing.

Run: python benchmarks/panning.py SLIDE [--viewports 20] [--users 2] [--threads N] [--seed 0] [--way NAME=FLAGS ...]
     [--json OUT]

Each user has a stream of their own. They move to a viewport beside the last one (by half of it, now and then one step
nearer or farther), look for LOOK seconds, and click three structures there with PAUSE seconds between. Timed is each
click, from sending it to its outline. "First" is the first click in a viewport, when its windows are cold, or
prefetched. The same walks are done for each way of serving: as shipped, without prefetching, and what `--way` adds (for
example `--way "OpenVINO=--encoder openvino"`). Before each, the first user's first two viewports are walked, which does
not count, and again until a way has compiled its encoder.

Clicks are at the darkest places of a viewport: where there is tissue. The slide is small, so users meet each other's
windows, as colleagues do who look at the same region.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import queue
import shlex
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from on_slide import cpu_flags, serving

from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client
from wsisam_server.core.geometry import Point, Window
from wsisam_server.core.settings import Limits
from wsisam_server.slides import open_slide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from on_slide import Server

    from wsisam_server.slides import Slide

LOOK, PAUSE = 1.5, 1.2
"""Seconds, as a pathologist takes who knows what to click on."""

CLICKS = 3
SCREEN = 1024
"""Side of a viewport, in pixels of the screen."""

APART = 96
"""Least distance of two clicks in a viewport, in pixels of the screen."""

WAYS = {"as shipped": "", "without prefetching": ""}
NOTHING_AHEAD = {"without prefetching": {"prefetched_fields": 0}}


@dataclass(frozen=True)
class Stop:
    """A viewport, and where it is clicked on; level-0 pixels."""

    viewport: geo.Viewport
    points: list[tuple[float, float]]


@dataclass
class Timed:
    """Milliseconds from click to outline, and encoder runs that answers waited for."""

    first: list[float] = field(default_factory=list)
    later: list[float] = field(default_factory=list)
    waited: int = 0


def walk(slide: Slide, count: int, seed: int) -> list[Stop]:
    """The way of one user."""
    rng, size = np.random.default_rng(seed), slide.info.size
    most = min(size.width, size.height) / SCREEN
    downsample = min(1.0, most)
    side = SCREEN * downsample
    x, y = rng.uniform(0, size.width - side), rng.uniform(0, size.height - side)
    stops: list[Stop] = []
    while len(stops) < count:
        step = rng.integers(0, 6)
        if step == 0:
            downsample = max(0.5, downsample / 2) if rng.random() < 0.5 else min(most, downsample * 2)
        else:
            turn = rng.uniform(0, 2 * np.pi)
            x, y = x + np.cos(turn) * side / 2, y + np.sin(turn) * side / 2
        side = SCREEN * downsample
        x, y = float(np.clip(x, 0, size.width - side)), float(np.clip(y, 0, size.height - side))
        points = dark_places(slide, x, y, downsample)
        if len(points) == CLICKS:
            region = geo.Box(x0=x, y0=y, x1=x + side, y1=y + side)
            stops.append(Stop(geo.Viewport(region=region, downsample=downsample), points))
    return stops


def dark_places(slide: Slide, x: float, y: float, downsample: float) -> list[tuple[float, float]]:
    """The darkest places of a viewport that are apart, level-0 pixels; fewer than `CLICKS` on glass."""
    side = SCREEN // 4
    half = side / 2 * 4 * downsample
    pixels = slide.read(Window.about(Point(x + half, y + half), 4 * downsample, side)).mean(2)
    blocks = pixels[: side // 4 * 4, : side // 4 * 4].reshape(side // 4, 4, side // 4, 4).mean((1, 3))
    found: list[tuple[float, float]] = []
    for at in np.argsort(blocks, axis=None):
        row, column = divmod(int(at), blocks.shape[1])
        if blocks[row, column] > 200 or len(found) == CLICKS:
            break
        place = x + (column + 0.5) * 16 * downsample, y + (row + 0.5) * 16 * downsample
        inside = all(64 < (at - begin) / downsample < SCREEN - 64 for at, begin in zip(place, (x, y), strict=True))
        if inside and all(np.hypot(place[0] - a, place[1] - b) > APART * downsample for a, b in found):
            found.append(place)
    return found


def clicked(server: Server, path: Path, stops: list[Stop]) -> Timed:
    """One user, from the first viewport to the last."""
    timed = Timed()
    with Client(server.target, timeout=600) as client:
        slide_id = client.open_slide(str(path)).slide_id
        out: queue.Queue[pb.InteractRequest | None] = queue.Queue()
        out.put(pb.InteractRequest(start=pb.Start(session_id=uuid.uuid4().hex, slide_id=slide_id)))
        answers = client.stub.Interact(iter(out.get, None), timeout=3600)
        for stop in stops:
            out.put(pb.InteractRequest(viewport=stop.viewport))
            time.sleep(LOOK)
            for number, (x, y) in enumerate(stop.points):
                prompt = pb.Prompt(points=[pb.PromptPoint(position=geo.Point(x=x, y=y), label=pb.POINT_LABEL_POSITIVE)])
                revision = pb.PromptRevision(object_id=uuid.uuid4().hex, revision=1, prompt=prompt)
                started = time.perf_counter()
                out.put(pb.InteractRequest(prompt=revision))
                timed.waited += outline_of(answers, revision.object_id).timings.encoder_runs
                (timed.later if number else timed.first).append((time.perf_counter() - started) * 1000)
                time.sleep(PAUSE)
        out.put(None)
        for _ in answers:
            pass
    return timed


def outline_of(answers: Iterator[pb.InteractResponse], object_id: str) -> pb.Outline:
    for answer in answers:
        kind = answer.WhichOneof("message")
        if kind == "outline" and answer.outline.object_id == object_id:
            return answer.outline.outline
        if kind == "error":
            raise SystemExit(f"a click was refused: {answer.error.status.message}")
    raise SystemExit("the stream ended")


def done(server: Server, path: Path, walks: list[list[Stop]]) -> Timed:
    """All users at once."""
    found: list[Timed] = []
    users = [threading.Thread(target=lambda stops=stops: found.append(clicked(server, path, stops))) for stops in walks]
    for user in users:
        user.start()
    for user in users:
        user.join()
    if len(found) < len(walks):
        raise SystemExit("a user gave up")
    return Timed(
        [one for each in found for one in each.first],
        [one for each in found for one in each.later],
        sum(each.waited for each in found),
    )


def measured(name: str, flags: str, options: argparse.Namespace, walks: list[list[Stop]]) -> dict[str, Any]:
    path = options.slide.resolve()
    limits = NOTHING_AHEAD.get(name, {})
    words = shlex.split(flags)
    with serving(path.parent, options.threads, *words, **limits) as server:
        done(server, path, [walks[0][:2]])
        while "compiled" in server.client.models()[0].encoder or "takes over" in server.client.models()[0].encoder:
            done(server, path, [walks[0][:2]])
        began, ahead, used = server.encoder_runs(), *counts(server)
        timed = done(server, path, walks)
        runs, (after, used_after) = server.encoder_runs() - began, counts(server)
        encoder = server.client.models()[0].encoder
    return {
        "way": name,
        "encoder": encoder,
        "viewports": len(timed.first),
        "first_p50": round(float(np.percentile(timed.first, 50))),
        "first_p95": round(float(np.percentile(timed.first, 95))),
        "later_p50": round(float(np.percentile(timed.later, 50))),
        "later_p95": round(float(np.percentile(timed.later, 95))),
        "encoder_runs": runs,
        "waited_for": timed.waited,
        "fields_ahead": int(after - ahead),
        "fields_ahead_used": int(used_after - used),
    }


def counts(server: Server) -> tuple[float, float]:
    """Fields that were encoded ahead so far, and those that were used."""
    return server.value("wsisam_prefetched_fields_total"), server.value("wsisam_prefetched_fields_used_total")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slide", type=Path)
    parser.add_argument("--viewports", type=int, default=20)
    parser.add_argument("--users", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--way", action="append", default=[], metavar="NAME=FLAGS")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    slide = open_slide(options.slide.resolve(), Limits())
    walks = [walk(slide, options.viewports, options.seed + number) for number in range(options.users)]
    ways = WAYS | dict(way.split("=", 1) for way in options.way)
    print("| way | first click, ms: p50, p95 | later clicks: p50, p95 | encoder runs; waited for | ahead; used |")
    print("|---|---|---|---|---|")
    rows = []
    for name, flags in ways.items():
        row = measured(name, flags, options, walks)
        rows.append(row)
        print(
            f"| {name} | {row['first_p50']}, {row['first_p95']} | {row['later_p50']}, {row['later_p95']} "
            f"| {row['encoder_runs']}; {row['waited_for']} | {row['fields_ahead']}; {row['fields_ahead_used']} |",
            flush=True,
        )
    print(
        f"\n{dt.datetime.now(tz=dt.timezone.utc).date()}, {os.cpu_count()} cores, {cpu_flags()}; "
        f"{options.threads} threads, {options.users} users of {options.viewports} viewports, seed {options.seed}; "
        + "; ".join(f"{row['way']}: {row['encoder']}" for row in rows)
    )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
