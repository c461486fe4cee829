"""A server among enemies: wrong requests by the thousand, slow senders, connections that only hold on.

Run: PYTHONPATH=tests python benchmarks/hostile.py [--requests 10000] [--real-model] [--json OUT]

`wsisam serve` in a process of its own, with a store. Requests to every method that the port answers, health and
reflection too: valid messages with wrong bytes, well-formed ones with wild values, regions whose borders cross ten
thousands of times, bytes that are no call at all. Must be reached: no call that the server itself ends with INTERNAL or
UNKNOWN (its own count, in the metrics), no request without an answer, no traceback in its log, memory flat after the
first quarter (by at most 5 %), at most eight more threads and open files than then (pools of threads fill when they are
needed, and each of the store's has a file open), and an honest user is answered rightly all the time.

Then connections of eight bad kinds, one kind after the other; the honest user's median, as a ratio to the median
before them in the same run, and at most four times that. Last, a call of a method whose name is no text, after which
gRPC stops listening: how long until the server answers again.

The model finds what is dark and costs nothing, so that requests are what the server spends its time on; --real-model
takes the default model instead.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime as dt
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from support.hostile import Attacker, Canary, Tally, holdings, unreadable_method
from support.server import around, picture
from support.server_process import ServerProcess, Starter, Usage, command
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1024 * 1024
ATTACKERS = 4
SAMPLES = 40
WARM_UP = 0.25
"""Of the requests: what is sent before memory is taken as that of a server that has been at work."""
GROWTH = 0.05
MORE = 8
RATIO = 4.0
CONNECTIONS, IDLE = 60, 1000
ASKED, PAUSE = 51, 0.1


@contextlib.contextmanager
def server(folder: Path, log: Path, *, real: bool) -> Iterator[ServerProcess]:
    Image.fromarray(picture()).save(folder / "discs.png")
    # How fast one may send is not the question here: refused for that, a request would not be looked at.
    (folder / "wsisam.toml").write_text("[limits]\nmessages_per_second_per_user = 1000000\n")
    arguments = [
        "--config",
        folder / "wsisam.toml",
        "--slides",
        folder,
        "--port",
        0,
        "--metrics-port",
        0,
        "--store",
        folder / "annotations.sqlite",
    ]
    arguments += ["--threads", 1, "--embedding-cache-bytes", "256MiB", "--tokens", folder / "tokens.json"]
    if real:
        with command(log, *arguments) as running:
            yield running
    else:
        with Starter(log) as starter:
            yield starter.start(*arguments)


def attacked(running: ServerProcess, canary: Canary, slide_id: str, requests: int, seed: int) -> dict[str, Any]:
    """Sends the wrong requests, and says what came of them."""
    attackers = [Attacker(running.target, seed + n, slide_id, "discs.png") for n in range(ATTACKERS)]
    usage: list[tuple[int, Usage]] = [(0, running.usage())]
    slowest, part = 0.0, max(1, requests // SAMPLES // ATTACKERS)
    started = time.perf_counter()
    for sent in range(part, requests // ATTACKERS + part, part):
        threads = [threading.Thread(target=attacker.send, args=(part,)) for attacker in attackers]
        for thread in threads:
            thread.start()
        slowest = max(slowest, canary.seconds(1))
        for thread in threads:
            thread.join()
        usage.append((sent * ATTACKERS, running.usage()))
    seconds = time.perf_counter() - started
    canary.seconds(3)
    # What ended a moment ago is taken down a moment later.
    time.sleep(3)
    after = running.usage()
    warm = [(sent, each.rss) for sent, each in usage if sent >= WARM_UP * requests]
    slope = float(np.polyfit([sent for sent, _ in warm], [rss for _, rss in warm], 1)[0])
    tally = Tally()
    for attacker in attackers:
        tally += attacker.tally
    statuses: Counter[str] = Counter()
    for (_, status), count in tally.answered.items():
        statuses[status] += count
    return {
        "requests": statuses.total(),
        "seconds": seconds,
        "statuses": dict(statuses.most_common()),
        "bad": tally.bad,
        "before": dataclasses.asdict(usage[0][1]),
        "warm": dataclasses.asdict(next(each for sent, each in usage if sent >= WARM_UP * requests)),
        "after": dataclasses.asdict(after),
        "slope": slope,
        "slowest": slowest,
    }


def held(running: ServerProcess, canary: Canary, slide_id: str) -> dict[str, float]:
    """The honest user's median while others hold connections, as ratios to that before."""
    before = canary.seconds(ASKED, pause=PAUSE)
    ratios = {}
    for name, begin in holdings(running.target, slide_id, "discs.png", CONNECTIONS, IDLE).items():
        with begin() as connections:
            ratios[name] = canary.seconds(ASKED, connections.step, pause=PAUSE) / before
    ratios["afterwards"] = canary.seconds(ASKED, pause=PAUSE) / before
    return ratios


def broken(result: dict[str, Any]) -> list[str]:
    """What was claimed and does not hold."""
    warm, after, ratios = result["warm"], result["after"], result["ratios"]
    claims = {
        "every request is answered, none with INTERNAL or UNKNOWN": not result["bad"] and not result["own errors"],
        "the log tells of no bug": not result["complaints"],
        "memory is flat": after["rss"] <= (1 + GROWTH) * warm["rss"],
        "threads are flat": after["threads"] <= warm["threads"] + MORE,
        "files are flat": after["files"] <= warm["files"] + MORE,
        f"others are served, in at most {RATIO:g} times the time": max(ratios.values()) <= RATIO,
        "connections are given up with their clients": result["at the end"]["files"] <= warm["files"] + MORE,
    }
    return [claim for claim, holds in claims.items() if not holds]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--requests", type=int, default=10_000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--real-model", action="store_true")
    arguments.add_argument("--log", type=Path, help="Where the server's log goes, to be kept.")
    arguments.add_argument("--json", type=Path)
    options = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        server(Path(name), options.log or Path(name) / "log", real=options.real_model) as running,
        Client(running.target, timeout=120) as client,
    ):
        slide_id = client.open_slide("discs.png").slide_id
        canary = Canary(client, pb.SegmentRequest(slide_id=slide_id, prompt=around("a")))
        result = attacked(running, canary, slide_id, options.requests, options.seed)
        result["ratios"] = held(running, canary, slide_id)
        time.sleep(3)
        result["at the end"] = dataclasses.asdict(running.usage())
        result |= {"own errors": running.own_errors(), "complaints": running.complaints()}
        started = time.perf_counter()
        unreadable_method(running.target)
        canary.seconds_until_answered(20)
        result["away"] = time.perf_counter() - started
    result["date"] = dt.datetime.now(tz=dt.timezone.utc).date().isoformat()
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    show(result)
    wrong = broken(result)
    sys.exit("does not hold: " + "; ".join(wrong) if wrong else 0)


def show(result: dict[str, Any]) -> None:
    print(f"{result['requests']} requests in {result['seconds']:.0f} s:", result["statuses"])
    print(f"ended with INTERNAL or UNKNOWN, or not at all: {len(result['bad'])}", result["bad"][:3])
    print("counted by the server:", result["own errors"] or "none")
    print("lines in the log that tell of a bug:", len(result["complaints"]), result["complaints"][:3])
    for when in ("before", "warm", "after", "at the end"):
        usage = result[when]
        print(f"{when:12s}{usage['rss'] / MIB:7.1f} MiB, {usage['threads']} threads, {usage['files']} files")
    print(f"slope after the first quarter: {result['slope'] * 1000 / MIB:.2f} MiB for 1,000 requests")
    print(f"slowest answer to the honest user meanwhile: {result['slowest'] * 1000:.0f} ms")
    for name, ratio in result["ratios"].items():
        print(f"{name:28s}{ratio:5.2f} x the time before")
    print(f"answers again after a method whose name is no text: {result['away']:.1f} s")


if __name__ == "__main__":
    main()
