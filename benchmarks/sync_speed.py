"""How long a sync with a QuPath project takes, apart from the start of QuPath's Java.

Run: PAQUO_QUPATH_DIR=/path/to/QuPath python benchmarks/sync_speed.py [--annotations 10000] [--json OUT]

A store with 10,000 outlines of about 40 vertices, every tenth with a hole, and a project whose one image was never
opened. Must be reached, each beside the start of Java: all of them into the project in 6 s; a sync of what is
unchanged, but must be read and compared, in 5 s. A sync that finds nothing new reads nothing, and needs no Java at all.

The times are those of a clock, and on a machine that is busy with other things they say little. Beside them stands the
processor time of both processes together, and what paquo alone takes in the same run, in a process of its own, to add
as many annotations to such a project, to save it, and to read their ids, names and shapes again.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import shapely
from PIL import Image as Picture

from wsisam_server.annotations.store import Content, Draft, PathClass, open_store
from wsisam_server.annotations.sync.errors import SyncError
from wsisam_server.annotations.sync.options import Options
from wsisam_server.annotations.sync.process import QuPathProcess
from wsisam_server.annotations.sync.report import Outcome
from wsisam_server.annotations.sync.steps import Step
from wsisam_server.annotations.sync.syncing import sync
from wsisam_server.slides import fingerprint

if TYPE_CHECKING:
    from wsisam_server.annotations.store import Store
    from wsisam_server.annotations.sync.model import Image
    from wsisam_server.annotations.sync.report import ImageReport

FRESH_SECONDS = 6.0
UNCHANGED_SECONDS = 5.0
VERTICES = 40
SIDE = 4000
"""Of the image, in pixels."""
MIB = 2**20


class Clock:
    """When each step was done, by the clock and in processor time, and how much memory both processes took at most."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.times: dict[Step, float] = {}
        self.processor: dict[Step, float] = {}
        self._here = psutil.Process()
        self._before = self._used()
        self.peak = {"this process": 0, "QuPath's Java": 0}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch_memory)
        self._thread.start()

    def begin(self, images: int) -> None:
        """See `ProgressListener`."""

    def step(self, step: Step, image: Image | None = None) -> None:  # noqa: ARG002 - the listener's signature
        """See `ProgressListener`."""
        self.times[step] = time.perf_counter() - self.started
        self.processor[step] = self._used() - self._before

    def end(self, report: ImageReport) -> None:
        """See `ProgressListener`."""

    def stop(self) -> None:
        """Ends the watch on memory."""
        self._ended.set()
        self._thread.join()

    @property
    def java_seconds(self) -> float:
        """From the beginning until QuPath's Java had started; 0 when it was not needed."""
        return self.times.get(Step.QUPATH_STARTED, 0.0)

    @property
    def own_seconds(self) -> tuple[float, float]:
        """The rest, until all was written down: by the clock, and in processor time."""
        return (
            self.times[Step.PROJECT_RECORDED] - self.java_seconds,
            self.processor[Step.PROJECT_RECORDED] - self.processor.get(Step.QUPATH_STARTED, 0.0),
        )

    def _used(self) -> float:
        """Seconds of processor time of this process and QuPath's Java."""
        times = [process.cpu_times() for process in (self._here, *self._here.children())]
        return sum(used.user + used.system for used in times)

    def _watch_memory(self) -> None:
        while not self._ended.wait(0.25):
            self._see("this process", self._here)
            for child in self._here.children():
                self._see("QuPath's Java", child)

    def _see(self, name: str, process: psutil.Process) -> None:
        try:
            self.peak[name] = max(self.peak[name], process.memory_info().rss)
        except psutil.Error:
            return


def outlines(count: int, side: int) -> list[shapely.Polygon]:
    """Outlines as the server makes them: valid, on the 1/32 px grid, next to each other."""
    random = np.random.default_rng(0)
    angles = np.linspace(0, 2 * np.pi, VERTICES, endpoint=False)
    columns = int(np.ceil(np.sqrt(count)))
    pitch = side / columns
    made = []
    for number in range(count):
        centre = (np.array(divmod(number, columns)) + 0.5) * pitch
        radii = pitch * (0.3 + 0.1 * random.random(VERTICES))
        ring = np.rint((centre + radii[:, None] * np.c_[np.cos(angles), np.sin(angles)]) * 32) / 32
        hole = np.rint((centre + 0.1 * pitch * np.c_[np.cos(angles[::4]), np.sin(angles[::4])]) * 32) / 32
        made.append(shapely.Polygon(ring, [hole] if number % 10 == 0 else []))
    return made


def project_in(folder: Path, slide: Path) -> Path:
    """A project whose image was never opened, as QuPath writes it."""
    builder = {"builderType": "uri", "uri": slide.as_uri(), "args": []}
    entry = {"serverBuilder": builder, "entryID": 1, "imageName": slide.name, "metadata": {}}
    path = folder / "project.qpproj"
    said = {"version": "0.6.0", "createTimestamp": 0, "modifyTimestamp": 0, "uri": path.as_uri(), "lastID": 1}
    path.write_text(json.dumps({**said, "images": [entry]}))
    return path


def fill(store: Store, slide_id: str, shapes: list[shapely.Polygon]) -> None:
    drafts = [
        Draft(
            uuid.uuid4(),
            Content(slide_id, shape, PathClass("Tumor", 0xC80000), name=f"gland {number}", metadata={"a": "b"}),
        )
        for number, shape in enumerate(shapes)
    ]
    for start in range(0, len(drafts), 1000):
        store.save(drafts[start : start + 1000], author="model", request_id=uuid.uuid4().hex)


def timed(project: Path, store: Store, outcome: Outcome) -> Clock:
    clock = Clock()
    try:
        report = sync(project, store, QuPathProcess(), Options(), author="benchmark", listener=clock)
    finally:
        clock.stop()
    assert report.status == 0, report.as_json()
    assert report.images[0].outcome is outcome, report.as_json()
    return clock


def forget_that_it_is_done(project: Path) -> None:
    """As after a change that turned out to be none: the image must be read and compared."""
    path = project.parent / "wsisam-sync/images/1.json"
    said = json.loads(path.read_text())
    for synced in said["stores"].values():
        synced["done"] = False
    path.write_text(json.dumps(said))


def bare(count: int) -> None:
    """Prints the seconds that paquo alone takes: by the clock, and in processor time."""
    from paquo.java import qupath_version  # noqa: PLC0415 - starts Java
    from paquo.projects import QuPathProject  # noqa: PLC0415

    shapes = outlines(count, SIDE)
    with tempfile.TemporaryDirectory() as name:
        slide = Path(name) / "slide.png"
        Picture.fromarray(np.full((SIDE, SIDE, 3), 220, np.uint8)).save(slide)
        with QuPathProject(Path(name) / "project", "x") as project:
            image = project.add_image(slide)
            start = time.perf_counter(), time.process_time()
            for number, shape in enumerate(shapes):
                image.hierarchy.add_annotation(roi=shape).name = f"gland {number}"
            image.save()
        with QuPathProject(Path(name) / "project", "r") as project:
            read = [
                (str(one.java_object.getID()), one.name, one.roi) for one in project.images[0].hierarchy.annotations
            ]
    assert len(read) == count
    spent = time.perf_counter() - start[0], time.process_time() - start[1]
    print(json.dumps({"QuPath": str(qupath_version), "seconds": spent}))


def bare_in_its_own_process(count: int) -> tuple[str, list[float]]:
    command = [sys.executable, __file__, "--bare", "--annotations", str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout.splitlines()[-1])
    return said["QuPath"], said["seconds"]


def _told(clock: Clock, alone: list[float]) -> str:
    by_clock, processor = clock.own_seconds
    ratio = f"{by_clock / alone[0]:.2f} of paquo alone"
    return f"{by_clock:.1f} s ({ratio}), processor time {processor:.1f} s"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--annotations", type=int, default=10_000)
    arguments.add_argument("--json", type=Path)
    arguments.add_argument("--bare", action="store_true", help="Only what paquo alone takes.")
    options = arguments.parse_args()
    if options.bare:
        bare(options.annotations)
        return
    print(f"{dt.datetime.now(dt.timezone.utc):%Y-%m-%d %H:%M} UTC, {platform.machine()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        slide = folder / "slide.png"
        Picture.fromarray(np.full((SIDE, SIDE, 3), 220, np.uint8)).save(slide)
        project = project_in(folder, slide)
        with open_store(str(folder / "annotations.sqlite")) as store:
            fill(store, fingerprint(slide), outlines(options.annotations, SIDE))
            try:
                fresh = timed(project, store, Outcome.SYNCED)
            except SyncError as error:
                sys.exit(str(error))
            nothing = timed(project, store, Outcome.SKIPPED)
            forget_that_it_is_done(project)
            compared = timed(project, store, Outcome.SYNCED)
    version, alone = bare_in_its_own_process(options.annotations)
    print(f"QuPath {version}; paquo alone, add, save and read: {alone[0]:.1f} s, processor time {alone[1]:.1f} s")
    print(f"start of QuPath's Java: {fresh.java_seconds:.1f} s")
    print(f"{options.annotations} into a fresh project: {_told(fresh, alone)} (at most {FRESH_SECONDS:g})")
    for before, after in pairwise(fresh.times):
        spent = fresh.times[after] - fresh.times[before]
        print(f"    {after.value:36s}{spent:6.2f} s, {fresh.processor[after] - fresh.processor[before]:6.2f} s")
    print(f"unchanged, read and compared: {_told(compared, alone)} (at most {UNCHANGED_SECONDS:g})")
    print(f"nothing new, nothing read, no Java: {_told(nothing, alone)}")
    results = {
        "annotations": options.annotations,
        "QuPath": version,
        "paquo alone": alone,
        "start of Java": fresh.java_seconds,
        "fresh project": fresh.own_seconds,
        "unchanged, read and compared": compared.own_seconds,
        "nothing new, nothing read": nothing.own_seconds,
        "memory": {name: size / MIB for name, size in fresh.peak.items()},
    }
    print(", ".join(f"{name} {size / MIB:.0f} MiB" for name, size in fresh.peak.items()), "at most")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    if min(fresh.own_seconds) > FRESH_SECONDS or min(compared.own_seconds) > UNCHANGED_SECONDS:
        sys.exit("too slow")


if __name__ == "__main__":
    main()
