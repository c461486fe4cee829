"""Annotators at work on a server, each in a thread with an Interact stream, and what their clicks took."""

from __future__ import annotations

import itertools
import math
import queue
import random
import sys
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client, ServerError, status_error
from wsisam_server.core.geometry import Window
from wsisam_server.core.settings import Limits
from wsisam_server.slides import open_slide

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence
    from pathlib import Path

THINK_SIGMA = 0.5
MOVES_ON = 0.1
CORRECTIONS = 4
ALONE_PAUSE = 0.2


@dataclass(frozen=True)
class Click:
    """One answered click: what its annotator waited, and what the server says about it; in milliseconds."""

    waited: float
    timings: pb.Timings

    @property
    def warm(self) -> bool:
        """Whether its field was encoded before."""
        return self.timings.encoder_runs == 0

    @property
    def device(self) -> float:
        """How long it kept the device, when nobody else was there."""
        return self.timings.encode_ms + self.timings.decode_ms


class Tissue:
    """Places on a slide where it is not pale."""

    def __init__(self, path: Path) -> None:
        self.path = path
        slide = open_slide(path, Limits())
        self.size = size = slide.info.size
        self._downsample = max(size.width, size.height) / 256
        overview = slide.read(Window(0, 0, self._downsample, 256))
        slide.close()
        inside = overview[: int(size.height / self._downsample), : int(size.width / self._downsample)]
        self._rows, self._columns = np.nonzero(inside.mean(axis=2) < 215)
        if not len(self._rows):
            sys.exit(f"{path}: nothing but background")

    def place(self, rng: random.Random) -> tuple[float, float]:
        """Level-0 pixels."""
        number = rng.randrange(len(self._rows))
        return (self._columns[number] + rng.random()) * self._downsample, (
            self._rows[number] + rng.random()
        ) * self._downsample

    def box(self, x: float, y: float, side: float) -> geo.Box:
        """What lies on the slide of a square; corrections fall into it."""
        size = self.size
        return geo.Box(x0=max(x, 0), y0=max(y, 0), x1=min(x + side, size.width), y1=min(y + side, size.height))


class Annotator:
    """One person at work on one image."""

    def __init__(self, name: str, token: str, tissue: Tissue, think: float) -> None:
        self.name = name
        self._think = think
        self.clicks: list[Click] = []
        self.errors: list[str] = []
        self._token = token
        self._tissue = tissue
        self._rng = random.Random(name)  # noqa: S311
        self._window: geo.Window | None = None
        self._said = pb.PromptRevision()

    def work(self, target: str, stop: threading.Event, *, late: float = 0.0, clicks: int | None = None) -> None:
        """Comes so many seconds late and clicks until the day is over; or so many times, with hardly a pause."""
        sent: queue.Queue[pb.InteractRequest | None] = queue.Queue()
        with Client(target, token=self._token, timeout=120) as client:
            try:
                slide = client.open_slide(str(self._tissue.path))
                replies = client.interact(pb.Start(slide_id=slide.slide_id), iter(sent.get, None))
                stop.wait(late)
                for _ in range(clicks) if clicks else itertools.count():
                    pause = ALONE_PAUSE if clicks else self._rng.lognormvariate(math.log(self._think), THINK_SIGMA)
                    if stop.wait(pause):
                        break
                    self._click(sent, replies)
                sent.put(None)
                for _ in replies:
                    pass
            except ServerError as error:
                self.errors.append(f"{self.name}: {error.status} {error.reason} {error.text}")
            finally:
                sent.put(None)

    def _click(self, sent: queue.Queue[pb.InteractRequest | None], replies: Iterator[pb.InteractResponse]) -> None:
        said = self._next()
        started = time.perf_counter()
        sent.put(pb.InteractRequest(prompt=said))
        for reply in replies:
            kind = reply.WhichOneof("message")
            if kind == "error":
                raise status_error(reply.error.error)
            if kind == "outline":
                outline = reply.outline.outline
                self.clicks.append(Click((time.perf_counter() - started) * 1000, outline.timings))
                self._window = outline.field.high
                return
        self.errors.append(f"{self.name}: the stream ended")

    def _next(self) -> pb.PromptRevision:
        """The next click: somewhere else, a correction, or another object beside the last one."""
        said, rng = self._said, self._rng
        if self._window is None or rng.random() < MOVES_ON:
            x, y = self._tissue.place(rng)
            side = rng.uniform(40, 250)
            self._said = self._box(x - side / 2, y - side / 2, side)
        elif len(said.prompt.points) < CORRECTIONS:
            box = said.prompt.box
            place = geo.Point(x=rng.uniform(box.x0, box.x1), y=rng.uniform(box.y0, box.y1))
            said.prompt.points.add(position=place, label=pb.POINT_LABEL_POSITIVE)
            said.revision += 1
            said.ClearField("field")
        else:
            window = self._window
            extent = window.size * window.downsample
            side = rng.uniform(0.2, 0.5) * extent
            left, top = (start + rng.uniform(0.1, 0.4) * extent for start in (window.x, window.y))
            self._said = self._box(left, top, side, pb.FieldChoice(high=window))
        return self._said

    def _box(self, x: float, y: float, side: float, field: pb.FieldChoice | None = None) -> pb.PromptRevision:
        prompt = pb.Prompt(box=self._tissue.box(x, y, side))
        return pb.PromptRevision(object_id=uuid.uuid4().hex, revision=1, prompt=prompt, field=field)


def percentiles(clicks: Sequence[Click]) -> dict[str, float]:
    waited = [click.waited for click in clicks]
    return {"clicks": len(waited)} | {f"p{p}": float(np.percentile(waited, p)) if waited else 0.0 for p in (50, 95)}


def by_kind(clicks: Sequence[Click]) -> dict[str, dict[str, float]]:
    return {
        "all": percentiles(clicks),
        "warm": percentiles([click for click in clicks if click.warm]),
        "cold": percentiles([click for click in clicks if not click.warm]),
    }
