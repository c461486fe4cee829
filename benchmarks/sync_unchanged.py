"""What a sync costs of which little or nothing is new.

Run: PYTHONPATH=tests python benchmarks/sync_unchanged.py [--annotations 100000] [--vertices 60] [--images 500]
     [--objects 2000] [--json OUT]

First Annotations.Sync, as WsiSamSync calls it: `wsisam serve` in a process of its own, with a model that costs
nothing and a SQLite file. An image of 100,000 annotations of 60 vertices comes into the store, is synced again with
nothing new, with one annotation changed on each side, and goes whole to an image that holds nothing. Of each:
processor time of the server, its memory beyond what it had before, and how many annotations were sent in full, each
way. Must be reached: what is unchanged takes 10 s of the server's processor and sends nothing in full; memory 300
MiB.

Then `wsisam sync` of a project of 500 images with 2,000 objects each, with the double of QuPath (see
tests/annotations/sync) and a SQLite file: all for the first time, nothing new, and one object changed in each image.
Of each: time by the clock, processor time, and memory of the program that syncs, without the double. A double is no
QuPath: these times say what the sync itself takes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import shapely
from large_slide import Memory, yardstick
from PIL import Image

from annotations.sync import double
from annotations.sync.worlds import DOUBLE
from support.annotations import path_class, sync_requests
from support.server_process import Starter
from wsisam.v1 import annotations_pb2 as pb
from wsisam_server.annotations.store import open_store
from wsisam_server.annotations.sync.options import Options
from wsisam_server.annotations.sync.process import QuPathProcess
from wsisam_server.annotations.sync.report import Outcome
from wsisam_server.annotations.sync.syncing import sync
from wsisam_server.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from support.server_process import ServerProcess
    from wsisam_server.annotations.sync.report import Report

SLIDE = "5e" * 32
MIB = 2**20
UNCHANGED_SECONDS, MEMORY_MIB = 10.0, 300


@dataclass(frozen=True)
class Row:
    """What one sync took.

    Attributes:
        processor: seconds, of the server or the program.
        clock: seconds.
        memory: MiB, at most, beyond what there was before.
        sent: annotations in full to the server; of a project, objects that went to the store.
        received: as sent, the other way.
    """

    what: str
    count: int
    processor: float
    clock: float
    memory: float
    sent: int
    received: int


def ring(number: int, vertices: int) -> list[float]:
    """The border of a nucleus, as QuPath keeps what is drawn: 32-bit floats."""
    x, y = 30 * (number % 1000) + 15.0, 30 * (number // 1000) + 15.0
    angles = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    radii = 8 + 3 * np.sin(5 * angles + number)
    points = np.c_[x + radii * np.cos(angles), y + radii * np.sin(angles)]
    return points.round(2).astype(np.float32).astype(float).ravel().tolist()


def annotation(number: int, vertices: int, name: str = "") -> pb.Annotation:
    path = pb.DrawnPath(coordinates=ring(number, vertices))
    shape = pb.Shape(drawn=pb.DrawnShape(kind=pb.SHAPE_KIND_AREAS, parts=[pb.DrawnPart(paths=[path])]))
    return pb.Annotation(
        id=str(uuid.UUID(int=number + 1, version=4)),
        shape=shape,
        name=name,
        path_class=path_class("Nucleus", 0xC80000),
        measurements={"Area": 201.5},
    )


class Image100k:
    """A client with a large image and its record."""

    def __init__(self, client: Client, server: ServerProcess, count: int) -> None:
        self._client, self._server, self._count = client, server, count
        self._store_id = client.annotations.GetStore(pb.AnnotationsGetStoreRequest()).store_id
        self.record: dict[str, int] = {}

    def sync(
        self, what: str, changed: Iterable[pb.Annotation] = (), *, unchanged: Iterable[str] = (), slide: str = SLIDE
    ) -> Row:
        """Syncs, and tells what it took of the server."""
        sent = received = 0

        def counted() -> Iterator[pb.Annotation]:
            nonlocal sent
            for one in changed:
                sent += 1
                yield one

        requests = list(
            sync_requests(
                counted(),
                [(one, self.record[one]) for one in unchanged],
                slide=pb.AnnotatedSlide(slide_id=slide),
                store_id=self._store_id,
            )
        )
        before, started = self._server.process.cpu_times(), time.perf_counter()
        with Memory(self._server) as memory:
            for message in self._client.annotations.Sync(iter(requests), timeout=3600):
                received += len(message.put)
                self.record.update((one.id, one.revision) for one in message.synced)
        after = self._server.process.cpu_times()
        used = after.user + after.system - before.user - before.system
        more = (memory.most - memory.before) / MIB
        return Row(what, self._count, used, time.perf_counter() - started, more, sent, received)


def of_the_server(folder: Path, count: int, vertices: int) -> list[Row]:
    with Starter(folder / "log") as starter:
        server = starter.start("--store", str(folder / "annotations.sqlite"), "--port", "0")
        with Client(server.target) as client:
            image = Image100k(client, server, count)
            # Python's own memory for its first calls is not the sync's.
            image.sync("warm", [annotation(10**7, vertices)], slide="6f" * 32)
            image.record.clear()
            rows = [image.sync("all new in the image", (annotation(number, vertices) for number in range(count)))]
            known = sorted(image.record)
            rows.append(image.sync("nothing new", unchanged=known))
            first, second, *rest = known
            there = client.annotations.Get(pb.AnnotationsGetRequest(id=second)).annotation
            there.name = "there"
            item = pb.SaveItem(annotation=there)
            request = pb.AnnotationsSaveRequest(request_id=uuid.uuid4().hex, author="ben", items=[item])
            client.annotations.Save(request, timeout=60)
            here = client.annotations.Get(pb.AnnotationsGetRequest(id=first)).annotation
            here.name, here.revision = "here", image.record[first]
            rows.append(image.sync("one changed on each side", [here], unchanged=[second, *rest]))
            image.record.clear()
            rows.append(image.sync("all new in the store"))
        starter.stop(server)
    return rows


def project(folder: Path, images: int, objects: int) -> Path:
    """A project of the double, with objects in each image."""
    random, slides = np.random.default_rng(0), []
    for number in range(images):
        slides.append(folder / f"{number:04d}.png")
        Image.fromarray(random.integers(0, 255, (40, 60, 3), np.uint8)).save(slides[-1])
    made = Path(double.Editor().create(folder / "project", slides))
    for number in range(1, images + 1):
        path = made.parent / "data" / str(number) / "data.qpdata"
        said = double.read_data(path)
        for one in range(objects):
            shape = shapely.box(one % 50, one // 50, one % 50 + 0.75, one // 50 + 0.75)
            said["objects"].append(double.new_object(shape=shapely.to_wkb(shape, hex=True), **{"class": "Tumor"}))
        double.write_data(path, said)
    return made


def rename_one(made: Path, images: int) -> None:
    """A person changes one object of each image."""
    for number in range(1, images + 1):
        path = made.parent / "data" / str(number) / "data.qpdata"
        said = json.loads(path.read_bytes())
        said["objects"][number % len(said["objects"])]["name"] = "changed"
        path.write_text(json.dumps(said))


class Watch:
    """The listener of a sync, that looks at the memory of this process after each step."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.before = self.most = self._process.memory_info().rss

    def begin(self, images: int) -> None:
        """See `ProgressListener`."""

    def step(self, step: object, image: object = None) -> None:  # noqa: ARG002 - the listener's signature
        """See `ProgressListener`."""
        self.most = max(self.most, self._process.memory_info().rss)

    def end(self, report: object) -> None:
        """See `ProgressListener`."""


def of_a_project(folder: Path, images: int, objects: int) -> tuple[list[Row], Report]:
    made = project(folder, images, objects)
    rows = []
    with open_store(str(folder / "annotations.sqlite")) as store:
        for what in ("project, first sync", "project, nothing new", "project, one object an image"):
            if what.endswith("an image"):
                rename_one(made, images)
            watch, clock, used, head = Watch(), time.perf_counter(), time.process_time(), store.head()
            report = sync(made, store, QuPathProcess(DOUBLE), Options(), author="qupath:ben", listener=watch)
            assert report.status == 0, report.as_json()
            taken = (time.process_time() - used, time.perf_counter() - clock, (watch.most - watch.before) / MIB)
            rows.append(Row(what, images * objects, *taken, store.head() - head, 0))
            if what.endswith("nothing new"):
                assert {image.outcome for image in report.images} == {Outcome.SKIPPED}
    return rows, report


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--annotations", type=int, default=100_000)
    arguments.add_argument("--vertices", type=int, default=60)
    arguments.add_argument("--images", type=int, default=500, help="0: no project")
    arguments.add_argument("--objects", type=int, default=2000)
    arguments.add_argument("--json", type=Path)
    options = arguments.parse_args()
    before, rows = yardstick(), []
    with tempfile.TemporaryDirectory() as name:
        if options.annotations:
            rows += of_the_server(Path(name), options.annotations, options.vertices)
        if options.images:
            (Path(name) / "project").mkdir()
            rows += of_a_project(Path(name) / "project", options.images, options.objects)[0]
    print(f"yardstick: {before:.0f} ms before, {yardstick():.0f} ms after")
    print(f"{'':30s}{'count':>9s}{'processor':>11s}{'clock':>9s}{'memory':>10s}{'sent':>9s}{'received':>10s}")
    for row in rows:
        print(
            f"{row.what:30s}{row.count:9d}{row.processor:9.1f} s{row.clock:7.1f} s{row.memory:6.0f} MiB{row.sent:9d}"
            f"{row.received:10d}"
        )
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    server = [row for row in rows if not row.what.startswith("project")]
    missed = [row.what for row in server if row.memory > MEMORY_MIB]
    unchanged = [row for row in server if row.what == "nothing new"]
    missed += [row.what for row in unchanged if row.processor > UNCHANGED_SECONDS or row.sent or row.received]
    if missed:
        sys.exit(f"not reached: {', '.join(missed)}")


if __name__ == "__main__":
    main()
