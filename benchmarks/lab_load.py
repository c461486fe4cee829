"""A lab at work on one server: eight annotators and one endless batch, for ten minutes.

Run: PYTHONPATH=tests python benchmarks/lab_load.py SLIDE... [--minutes 10] [--json OUT]

`wsisam serve` in a process of its own with a real model, a token for each user, real slides. An annotator has one
Interact stream open, draws a box, corrects the outline by clicks, draws the next box in the same field, and moves on
with one click in ten; between an outline and the next click they think, log-normally, with a median of 4 s. First one
of them works alone with hardly a pause, for what a click costs by itself; then all of them at once, while the batch
user keeps the device busy without end.

Must be reached: no error; the 95th percentile of all clicks, and of those in a warm field, at most twice that of the
one who worked alone, and one step of the model (which cannot be interrupted); memory flat after the first third (in the
mean, the last third at most 5 % over the second). The annotators' offered load stays under 70 %: the clicks that they
would make in a second if none had to wait for another, times the seconds of the device that a click took alone. They
come to work four seconds after each other.
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import json
import math
import os
import platform
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from annotators import THINK_SIGMA, Annotator, Tissue, by_kind

from support.server_process import ServerProcess, command
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client
from wsisam_server.service.identity import Role, TokenFile

MIB = 1024 * 1024
ANNOTATORS = 8
SECONDS_BETWEEN_ARRIVALS = 4.0
ALONE_CLICKS = 120
BATCH = 200
SECONDS_BETWEEN_SAMPLES = 5.0
WARM_UP = 1 / 3
GROWTH = 0.05
MOST_LOAD = 0.7


class Batch:
    """One user who has all of a slide segmented, again and again."""

    def __init__(self, token: str, tissue: Tissue) -> None:
        self.answered = 0
        self.errors: list[str] = []
        self._token = token
        self._tissue = tissue
        self._rng = random.Random(0)  # noqa: S311

    def work(self, target: str, stop: threading.Event) -> None:
        """Until the day is over."""
        with Client(target, token=self._token) as client:
            slide = client.open_slide(str(self._tissue.path))
            while not stop.is_set():
                items = []
                for number in range(BATCH):
                    x, y = self._tissue.place(self._rng)
                    prompt = pb.Prompt(box=self._tissue.box(x - 60, y - 60, 120))
                    items.append(pb.BatchItem(id=str(number), prompt=prompt))
                for answer in client.segment_batch(pb.SegmentBatchRequest(slide_id=slide.slide_id, items=items)):
                    self.answered += 1
                    if answer.error is not None:
                        self.errors.append(f"batch: {answer.error.reason} {answer.error.text}")
                    if stop.is_set():
                        break


def alone(server: ServerProcess, annotator: Annotator, clicks: int) -> dict[str, Any]:
    """What a click costs whoever has the server for themselves."""
    annotator.work(server.target, threading.Event(), clicks=clicks)
    if annotator.errors:
        sys.exit(annotator.errors[0])
    cold = [click.timings for click in annotator.clicks if not click.warm]
    return {
        "waited": by_kind(annotator.clicks),
        "model step": float(np.median([timings.encode_ms / timings.encoder_runs for timings in cold])),
        "mean": float(np.mean([click.waited for click in annotator.clicks])),
        "device": float(np.mean([click.device for click in annotator.clicks])),
    }


def together(server: ServerProcess, annotators: list[Annotator], batch: Batch, seconds: float) -> dict[str, Any]:
    """All at work at once."""
    stop = threading.Event()
    threads = [threading.Thread(target=batch.work, args=(server.target, stop))]
    for number, one in enumerate(annotators):
        late = {"late": number * SECONDS_BETWEEN_ARRIVALS}
        threads.append(threading.Thread(target=one.work, args=(server.target, stop), kwargs=late))
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    memory = []
    while (spent := time.perf_counter() - started) < seconds:
        memory.append((spent, server.usage().rss))
        time.sleep(min(SECONDS_BETWEEN_SAMPLES, seconds - spent))
    stop.set()
    for thread in threads:
        thread.join()
    clicks = [click for annotator in annotators for click in annotator.clicks]
    warm = [(at, rss) for at, rss in memory if at >= WARM_UP * seconds]
    half = len(warm) // 2
    middle, last = (float(np.mean([rss for _, rss in part])) / MIB for part in (warm[:half], warm[half:]))
    return {
        "waited": by_kind(clicks),
        "warm share": sum(click.warm for click in clicks) / len(clicks),
        "clicks a second": len(clicks) / seconds,
        "errors": [error for one in (*annotators, batch) for error in one.errors],
        "batch answers": batch.answered,
        "MiB": {"begin": memory[0][1] / MIB, "second third": middle, "last third": last},
        "MiB a minute after warm-up": float(np.polyfit(*zip(*warm, strict=True), 1)[0]) * 60 / MIB,
        "memory": [(round(at, 1), rss // MIB) for at, rss in memory],
    }


def counted(server: ServerProcess) -> dict[str, Any]:
    """What the server has counted itself, of both parts."""
    embeddings: Counter[str] = Counter()
    prompts: Counter[str] = Counter()
    for name, labels, value in server.metrics():
        if name == "wsisam_embedding_cache_lookups_total":
            embeddings[labels["result"]] += int(value)
        elif name == "wsisam_prompts_total":
            prompts[f"{labels['kind']} {labels['result']}"] += int(value)
    return {
        "embeddings": dict(embeddings),
        "prompts": dict(prompts),
        "own errors": server.own_errors(),
        "log": server.complaints(),
    }


def claims(result: dict[str, Any]) -> dict[str, bool]:
    before, load = result["alone"], result["together"]
    most = {kind: 2 * before["waited"][kind]["p95"] + before["model step"] for kind in ("all", "warm")}
    return {
        "no error": not load["errors"] and not result["server"]["own errors"] and not result["server"]["log"],
        "p95 of all clicks": load["waited"]["all"]["p95"] <= most["all"],
        "p95 of warm clicks": load["waited"]["warm"]["p95"] <= most["warm"],
        "memory flat": load["MiB"]["last third"] <= (1 + GROWTH) * load["MiB"]["second third"],
        "offered load": result["offered load"] < MOST_LOAD,
    }


def show(result: dict[str, Any]) -> None:
    before, load = result["alone"], result["together"]
    print(result["machine"])
    for name, part in (("alone", before), ("together", load)):
        for kind, numbers in part["waited"].items():
            print(
                f"{name:10s}{kind:6s}{numbers['clicks']:5.0f} clicks, p50 {numbers['p50']:7.1f} ms, "
                f"p95 {numbers['p95']:7.1f} ms"
            )
    print(f"one step of the model: {before['model step']:.0f} ms; device time of a click: {before['device']:.0f} ms")
    print(f"{load['clicks a second']:.2f} clicks a second, {load['warm share']:.0%} of them warm", end="; ")
    print(f"offered load {result['offered load']:.0%}; batch answers {load['batch answers']}")
    print("memory:", ", ".join(f"{when} {size:.0f} MiB" for when, size in load["MiB"].items()), end="; ")
    print(f"{load['MiB a minute after warm-up']:+.1f} MiB a minute after warm-up")
    print("errors:", len(load["errors"]), load["errors"][:3])
    for name, value in result["server"].items():
        print(f"{name}: {value or 'none'}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("slides", nargs="+", type=Path)
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument("--think", type=float, default=4.0, help="Seconds, median.")
    arguments.add_argument("--clicks-alone", type=int, default=ALONE_CLICKS)
    arguments.add_argument("--model", default="wsisam-lite")
    arguments.add_argument("--cache-mib", type=int, default=512)
    arguments.add_argument("--threads", type=int, default=os.cpu_count())
    arguments.add_argument("--log", type=Path, help="Where the server's log goes, to be kept.")
    arguments.add_argument("--json", type=Path)
    options = arguments.parse_args()
    tissues = [Tissue(path.resolve()) for path in options.slides]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokens = TokenFile(folder / "tokens.json")
        people = [tokens.create(f"user{n}", Role.ANNOTATOR, frozenset(), None)[1] for n in range(ANNOTATORS + 2)]
        wanted = [
            "--port",
            0,
            "--metrics-port",
            0,
            "--tokens",
            tokens.path,
            "--require-tokens",
            "--model",
            options.model,
        ]
        wanted += ["--store", folder / "annotations.sqlite", "--embedding-cache-bytes", f"{options.cache_mib}MiB"]
        wanted += ["--threads", options.threads]
        wanted += [word for place in {tissue.path.parent for tissue in tissues} for word in ("--slides", place)]
        with command(options.log or folder / "log", *wanted) as server:
            turn = itertools.cycle(tissues)
            annotators = [Annotator(f"user{n}", people[n], next(turn), options.think) for n in range(ANNOTATORS)]
            before = alone(server, Annotator("alone", people[-1], next(turn), options.think), options.clicks_alone)
            load = together(server, annotators, Batch(people[-2], next(turn)), options.minutes * 60)
            result = {"alone": before, "together": load, "server": counted(server)}
    thinking = options.think * math.exp(THINK_SIGMA**2 / 2)
    result["offered load"] = ANNOTATORS / (thinking + before["mean"] / 1000) * before["device"] / 1000
    result["date"] = dt.datetime.now(tz=dt.timezone.utc).date().isoformat()
    result["machine"] = f"{platform.machine()}, {options.threads} threads, {options.model}, {options.minutes:g} minutes"
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    show(result)
    held = claims(result)
    for claim, holds in held.items():
        print(f"claim, {claim}: {'holds' if holds else 'does not hold'}")
    sys.exit(0 if all(held.values()) else "not all claims hold")


if __name__ == "__main__":
    main()
