"""A project of many images: what an unchanged sync takes, and one with a changed object in each, beside another tree.

Run: PAQUO_QUPATH_DIR=/path/to/QuPath python benchmarks/sync_many.py [--images 500] [--annotations 2000] [--beside TREE]
     [--json OUT]

Each image shows a slide of its own, with outlines of about 40 vertices that the store has; first it is synced from
there. Then: nothing is new; one object of each image was changed in the store; one of each was changed in QuPath.
`--beside` names a checkout of another version: it does the same in turn, in a process of its own. Clock, processor time
of both processes together (Python and QuPath's Java), and the most memory of each.
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
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture
from sync_speed import MIB, SIDE, Clock, outlines

from wsisam_server.annotations.store import AnnotationFilter, Content, Draft, PathClass, Store, open_store
from wsisam_server.annotations.sync.options import Options
from wsisam_server.annotations.sync.process import QuPathProcess
from wsisam_server.annotations.sync.syncing import sync
from wsisam_server.slides import fingerprint

ROOT = Path(__file__).resolve().parents[1]
RENAME = """
import sys
from paquo.projects import QuPathProject
with QuPathProject(sys.argv[1], mode="a") as project:
    for image in project.images:
        next(iter(image.hierarchy.annotations)).name = sys.argv[2]
        image.save()
"""


def project_in(folder: Path, count: int) -> tuple[Path, list[str]]:
    """A project whose images were never opened, and the ids of their slides."""
    entries, slides = [], []
    random = np.random.default_rng(1)
    for number in range(1, count + 1):
        slide = folder / f"slide-{number}.png"
        pixels = np.full((SIDE // 10, SIDE // 10, 3), 220, np.uint8)
        pixels[:4] = random.integers(0, 255, pixels[:4].shape)
        Picture.fromarray(pixels).save(slide)
        slides.append(fingerprint(slide))
        builder = {"builderType": "uri", "uri": slide.as_uri(), "args": []}
        entries.append({"serverBuilder": builder, "entryID": number, "imageName": slide.name, "metadata": {}})
    path = folder / "project.qpproj"
    said = {"version": "0.6.0", "createTimestamp": 0, "modifyTimestamp": 0, "uri": path.as_uri(), "lastID": count}
    path.write_text(json.dumps({**said, "images": entries}))
    return path, slides


def fill(store: Store, slides: list[str], count: int) -> None:
    shapes = outlines(count, SIDE // 10)
    for slide in slides:
        drafts = [
            Draft(uuid.uuid4(), Content(slide, one, PathClass("Tumor", 0xC80000), name="gland")) for one in shapes
        ]
        for start in range(0, len(drafts), 1000):
            store.save(drafts[start : start + 1000], author="model", request_id=uuid.uuid4().hex)


def change_in_store(store: Store, slides: list[str]) -> None:
    for slide in slides:
        one = store.listing(AnnotationFilter(slide_id=slide), after=0, limit=1, deleted=False).annotations[0]
        draft = Draft(one.id, replace(one.content, name="renamed"), one.revision)
        store.save([draft], author="alice", request_id=uuid.uuid4().hex)


def timed(project: Path, store: Store) -> dict[str, float]:
    clock = Clock()
    try:
        report = sync(project, store, QuPathProcess(), Options(even_if_open=True), author="benchmark", listener=clock)
    finally:
        clock.stop()
    assert report.status == 0, report.as_json()
    by_clock, processor = clock.own_seconds
    memory = {f"{name}, MiB": round(size / MIB) for name, size in clock.peak.items()}
    return {"seconds": round(by_clock, 1), "processor seconds": round(processor, 1), **memory}


def measure(images: int, annotations: int) -> dict[str, Any]:
    """With the version that this process has imported."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project, slides = project_in(folder, images)
        with open_store(str(folder / "annotations.sqlite")) as store:
            fill(store, slides, annotations)
            found["from the store"] = timed(project, store)
            found["nothing new"] = timed(project, store)
            change_in_store(store, slides)
            found["one changed in the store"] = timed(project, store)
            subprocess.run([sys.executable, "-c", RENAME, str(project), "by hand"], check=True, capture_output=True)
            found["one changed in QuPath"] = timed(project, store)
            found["nothing new again"] = timed(project, store)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--annotations", type=int, default=2000)
    parser.add_argument("--beside", type=Path, help="a checkout of another version")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.images, options.annotations)))
        return
    print(f"{dt.datetime.now(dt.timezone.utc):%Y-%m-%d %H:%M} UTC, {platform.machine()}, {os.cpu_count()} cores")
    print(f"{options.images} images with {options.annotations} annotations each", flush=True)
    results = {}
    for tree in filter(None, (options.beside, ROOT)):
        path = os.pathsep.join([str(tree / "server"), *filter(None, [os.environ.get("PYTHONPATH")])])
        words = [
            sys.executable,
            __file__,
            "--here",
            f"--images={options.images}",
            f"--annotations={options.annotations}",
        ]
        done = subprocess.run(
            words, env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE, text=True, check=True
        )
        results["here" if tree == ROOT else "beside"] = said = json.loads(done.stdout.splitlines()[-1])
        print("this tree" if tree == ROOT else f"{tree.name}:", flush=True)
        for what, numbers in said.items():
            print(f"    {what:28s}" + ", ".join(f"{name} {value}" for name, value in numbers.items()), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
