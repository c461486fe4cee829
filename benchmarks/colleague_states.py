"""What one user does that costs the server much: the states of colleague.py, each in a process of its own.

Run by colleague.py: python benchmarks/colleague_states.py NAME TARGET FOLDER

A state is a function of a `Place`: it begins to do its harm, with clients and threads of its own, and returns. The harm
goes on until the process ends. To add one, write such a function and enter it in `STATES`.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import struct
import sys
import threading
import time
import uuid
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import numpy as np
from PIL import Image

from support.heavy import huge_slide, jpeg_of_many_scans
from wsisam.v1 import annotations_pb2
from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.client import Client, ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

SEGMENTATION, ANNOTATIONS = "/wsisam.v1.Segmentation/", "/wsisam.v1.Annotations/"
THREADS = 4
NICE = 5
"""The other user's computer is another one: here it takes what the server leaves, and a little more."""


@dataclass(frozen=True)
class Place:
    """What a state has to work with: the server's address, and its folder of slides. One user has one connection."""

    target: str
    folder: Path

    def repeat(self, what: Callable[[Client], object], threads: int = 1, pause: float = 0.0) -> None:
        """Does something again and again, in several threads; what the server refuses is fine."""
        client = Client(self.target, timeout=60)

        def run() -> None:
            while True:
                with contextlib.suppress(ServerError):
                    what(client)
                time.sleep(pause)

        for _ in range(threads):
            threading.Thread(target=run, daemon=True).start()

    def send(self, method: str, message: bytes, threads: int = THREADS, pause: float = 0.0) -> None:
        """Sends the same bytes again and again: what it takes to make them is not the question."""
        channel = grpc.insecure_channel(self.target, [("grpc.max_send_message_length", -1)])
        streams = method.endswith(("SegmentBatch", "SegmentEverything"))
        call = (channel.unary_stream if streams else channel.unary_unary)(method)

        def run() -> None:
            while True:
                with contextlib.suppress(grpc.RpcError):
                    answer = call(message, timeout=120)
                    for _ in answer if streams else ():
                        pass
                time.sleep(pause)

        for _ in range(threads):
            threading.Thread(target=run, daemon=True).start()


def box(x: float, y: float, side: float) -> pb.Prompt:
    """A box as a prompt."""
    return pb.Prompt(box=geo.Box(x0=x, y0=y, x1=x + side, y1=y + side))


def nothing(place: Place) -> None:
    """For comparison."""


def zoomed_out_boxes(place: Place) -> None:
    """Boxes over all of a slide of one huge level, given up after a second and asked again."""
    huge_slide(place.folder / "huge.svs", 131_072)
    hasty_boxes(place, "huge.svs", 131_072)


def boxes_at_the_limit(place: Place) -> None:
    """As many pixels of one level as one window may take."""
    huge_slide(place.folder / "limit.svs", 16_384)
    hasty_boxes(place, "limit.svs", 16_384)


def hasty_boxes(place: Place, name: str, side: int) -> None:
    """Boxes over a slide, given up after a second."""
    offsets = itertools.count()

    def ask(client: Client) -> None:
        slide_id = client.open_slide(name).slide_id
        prompt = box(100 + next(offsets) % 400, 100, side - 1000)
        client.stub.Segment(pb.SegmentRequest(slide_id=slide_id, prompt=prompt), timeout=1.0)

    def give_up(client: Client) -> None:
        try:
            ask(client)
        except Exception:  # noqa: BLE001 - given up, or refused; a refusal comes at once
            time.sleep(0.05)

    place.repeat(give_up, threads=3)


def scans(side: int) -> bytes:
    """A JPEG of 14 MB: a million scans that change nothing."""
    return jpeg_of_many_scans(side, 1_000_000)


def chunks(side: int) -> bytes:
    """A PNG with a million empty chunks before its pixels."""
    data = io.BytesIO()
    Image.new("RGB", (side, side), "white").save(data, "PNG")
    png = data.getvalue()
    empty = struct.pack(">I", 0) + b"wsIs" + struct.pack(">I", zlib.crc32(b"wsIs"))
    return png[:33] + empty * 1_000_000 + png[33:]


def tiles(encoding: pb.TileEncoding, data: Callable[[int], bytes], pause: float) -> Callable[[Place], None]:
    """A state: tiles in pixel mode, all that a request asks for within one message, in four threads."""

    def begin(place: Place) -> None:
        with Client(place.target, timeout=60) as client:
            opened = client.open_slide("nowhere.svs", pixels=pb.PixelSource(width=4096, height=4096))
            asked = pb.SegmentRequest(slide_id=opened.slide_id, prompt=box(1000, 1000, 200))
            try:
                client.segment(asked)
            except ServerError as error:
                if error.pixels_needed is None:
                    raise
                window = error.pixels_needed.windows[0]
                asked.tiles.add(window=window, encoding=encoding, data=data(window.tile_width))
        place.send(f"{SEGMENTATION}Segment", asked.SerializeToString(), pause=pause)

    return begin


def costly_tiles_of_a_file(place: Place) -> None:
    """A slide whose every tile takes seconds to decode."""
    huge_slide(place.folder / "scans.svs", 16_384, data=jpeg_of_many_scans(1024, 100_000))

    def ask(client: Client) -> None:
        slide_id = client.open_slide("scans.svs").slide_id
        client.segment(pb.SegmentRequest(slide_id=slide_id, prompt=box(2000, 2000, 500)))

    place.repeat(ask, threads=THREADS)


def own_slide(place: Place) -> str:
    """The id of a slide that is there."""
    with Client(place.target, timeout=60) as client:
        return client.open_slide("own.svs").slide_id


def many_points(place: Place) -> None:
    """600,000 points in one prompt."""
    point = pb.PromptPoint(position=geo.Point(x=100.5, y=100.5), label=pb.POINT_LABEL_POSITIVE)
    prompt = pb.Prompt(points=[point]).SerializeToString() * 600_000
    request = pb.SegmentRequest(slide_id=own_slide(place), prompt=pb.Prompt.FromString(prompt))
    place.send(f"{SEGMENTATION}Segment", request.SerializeToString())


def many_existing(place: Place) -> None:
    """160,000 objects that are there already, in a region to be searched."""
    one = geo.Ring(deltas=[32, 32, 320, 0, 0, 320])
    existing = pb.SegmentEverythingRequest(existing=[geo.MultiPolygon(polygons=[geo.Polygon(rings=[one])])])
    side = 32 * 300
    region = geo.Ring(deltas=[32, 32, side, 0, 0, side, -side, 0])
    head = pb.SegmentEverythingRequest(
        slide_id=own_slide(place),
        region=geo.MultiPolygon(polygons=[geo.Polygon(rings=[region])]),
        filter=pb.ProposalFilter(min_size=20, max_size=60),
    )
    message = head.SerializeToString() + existing.SerializeToString() * 160_000
    place.send(f"{SEGMENTATION}SegmentEverything", message)


def empty_prompts(place: Place) -> None:
    """100,000 empty prompts in a batch."""
    items = [pb.BatchItem(id=str(number)) for number in range(100_000)]
    place.send(
        f"{SEGMENTATION}SegmentBatch",
        pb.SegmentBatchRequest(slide_id=own_slide(place), items=items).SerializeToString(),
    )


def saving(place: Place, area: geo.MultiPolygon, threads: int = THREADS) -> None:
    """Saves of one area, under the same id: whether it is taken or not, the work is the same."""
    request = annotations_pb2.AnnotationsSaveRequest(
        author="ben",
        request_id=uuid.uuid4().hex,
        items=[
            annotations_pb2.SaveItem(
                annotation=annotations_pb2.Annotation(
                    id=str(uuid.uuid4()), slide_id=own_slide(place), shape=annotations_pb2.Shape(area=area)
                )
            )
        ],
    )
    place.send(f"{ANNOTATIONS}Save", request.SerializeToString(), threads)


def nested_rings(place: Place) -> None:
    """100,000 rings, each within the one before, as one annotation."""
    rings = []
    for number in range(100_000):
        side = 32 * 400_000 - 128 * number
        rings.append(geo.Ring(deltas=[64 * number, 64 * number, side, 0, 0, side, -side, 0]))
    saving(place, geo.MultiPolygon(polygons=[geo.Polygon(rings=rings)]))


def large_annotation(place: Place) -> None:
    """A valid annotation of 100,000 vertices."""
    angles = np.linspace(0, 2 * np.pi, 100_000, endpoint=False)
    radius = 32 * (5000 + 300 * np.sin(40 * angles))
    xy = np.rint(np.column_stack((radius * np.cos(angles), radius * np.sin(angles))) + 32 * 8000).astype(int)
    steps = np.diff(xy, axis=0, prepend=np.zeros((1, 2), int))
    ring = geo.Ring(deltas=steps.ravel().tolist())
    saving(place, geo.MultiPolygon(polygons=[geo.Polygon(rings=[ring])]))


STATES: dict[str, Callable[[Place], None]] = {
    "nothing": nothing,
    "zoomed-out boxes on one huge level": zoomed_out_boxes,
    "boxes of as many pixels as may be read": boxes_at_the_limit,
    "tiles of a file that take long to decode": costly_tiles_of_a_file,
    "JPEG of a million scans, four a second": tiles(pb.TILE_ENCODING_JPEG, scans, 1.0),
    "JPEG of a million scans, no pause": tiles(pb.TILE_ENCODING_JPEG, scans, 0.0),
    "PNG of a million chunks, no pause": tiles(pb.TILE_ENCODING_PNG, chunks, 0.0),
    "600,000 points in a prompt": many_points,
    "160,000 existing objects": many_existing,
    "100,000 empty prompts in a batch": empty_prompts,
    "100,000 nested rings in a Save": nested_rings,
    "100,000 vertices in a Save": large_annotation,
}


def main() -> None:
    name, target, folder = sys.argv[1:]
    if hasattr(os, "nice"):
        os.nice(NICE)
    STATES[name](Place(target, Path(folder)))
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
