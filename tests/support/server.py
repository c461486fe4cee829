"""A real server in this process, a slide made here, and prompts on it."""

import asyncio
import io
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import shapely
from PIL import Image

from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.cli.app import App
from wsisam_server.core.settings import Settings

WIDTH, HEIGHT = 900, 700
DISCS = {"a": (200, 200, 60), "b": (600, 250, 90), "c": (350, 520, 45)}
"""Dark discs on a pale ground: x, y, radius. What a box about one must find is known exactly."""


@dataclass
class Running:
    """A server in this process: its address, and its insides for counting."""

    target: str
    app: App
    root: Path
    loop: asyncio.AbstractEventLoop

    @property
    def encoder_runs(self):
        return self.app.models.device.cache.counters.computed


def picture(seed=0):
    """The slide's pixels: uint8 [HEIGHT, WIDTH, 3], to be changed as one likes."""
    return _pixels(seed).copy()


def write_picture(path, seed=0):
    """The slide as a PNG file."""
    path.write_bytes(_png(seed))


@cache
def _png(seed):
    data = io.BytesIO()
    Image.fromarray(_pixels(seed)).save(data, "PNG")
    return data.getvalue()


@cache
def _pixels(seed):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    image = np.full((HEIGHT, WIDTH, 3), (235, 205, 220), np.float64)
    for cx, cy, radius in DISCS.values():
        image[np.hypot(x - cx, y - cy) < radius] = (120, 60, 130)
    return (image + rng.normal(0, 6, image.shape)).clip(0, 255).astype(np.uint8)


def start(model, root, source=None, models=None, **settings):
    """Starts a server of a model, or of what a function loads; returns it and what stops it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="server")
    thread.start()
    settings = {"slides": (root,), "store": "none", "tokens": None, **settings}
    app = App(Settings(port=0, **settings), model if callable(model) else lambda: model, source, models)
    port = asyncio.run_coroutine_threadsafe(app.start(), loop).result(120)

    def stop():
        asyncio.run_coroutine_threadsafe(app.stop(0.2), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    return Running(f"127.0.0.1:{port}", app, root, loop), stop


def box(x0, y0, x1, y1):
    return pb.Prompt(box=geo.Box(x0=x0, y0=y0, x1=x1, y1=y1))


def around(name, margin=6):
    """A box prompt about a disc."""
    x, y, radius = DISCS[name]
    return box(x - radius - margin, y - radius - margin, x + radius + margin, y + radius + margin)


def point(x, y, *, positive=True):
    label = pb.POINT_LABEL_POSITIVE if positive else pb.POINT_LABEL_NEGATIVE
    return pb.PromptPoint(position=geo.Point(x=x, y=y), label=label)


def clicks(*marks):
    return pb.Prompt(points=[point(x, y, positive=positive) for x, y, positive in marks])


def iou(geometry, name):
    """Agreement of an outline with a disc."""
    x, y, radius = DISCS[name]
    disc = shapely.Point(x, y).buffer(radius, quad_segs=64)
    return geometry.intersection(disc).area / geometry.union(disc).area
