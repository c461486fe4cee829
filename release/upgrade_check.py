"""A store and a project of 0.1, upgraded and compared object by object; and the client of then at the server of now.

    python release/upgrade_check.py dist --keep FOLDER --qupath FOLDER [--old COMMIT]

For a maintainer, after check.py, whose environments (--keep) it uses. The program of 0.1 is taken from the history and
runs in the same environments: what it needs is there. Exit status 1 names what differs.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from check import BOX, MAKE_PROJECT, PICTURE, Environment, Server

OLD = "7e8d960"
"""The last state of 0.1 with the store's first form, which could sync projects already."""

SLIDES = 5
COUNT = 10_000

MAKE_STORE = """
import random, sys, uuid
import shapely
from pathlib import Path
from wsisam_server.slides import fingerprint
from wsisam_server.store import *
rng = random.Random(7)
store, count, slides = sys.argv[1], int(sys.argv[2]), [Path(one) for one in sys.argv[3:]]
made = Provenance("wsisam-lite", "ab" * 32, score=0.87)
def shape(n):
    x, y, r = rng.uniform(20, 860), rng.uniform(20, 660), rng.uniform(3, 18)
    whole = shapely.Point(x, y).buffer(r, 5)
    if n % 7 == 0:
        whole = whole.difference(shapely.Point(x, y).buffer(r / 3, 3))
    others = {3: shapely.Point(x, y), 4: shapely.LineString([(x, y), (x + r, y + r)])}
    return others.get(n % 50, whole)
def content(slide_id, n):
    return Content(
        slide_id, shape(n), PathClass(("Tumor", "Stroma", "Tumor: Positive")[n % 3], 0xC80000 + n % 3),
        name=f"n\u00e4me {n}" if n % 4 else "", project="Colon", locked=n % 11 == 0,
        measurements={"Area \u00b5m^2": n / 3} if n % 5 == 0 else {},
        metadata={"by": "hand"} if n % 6 == 0 else {}, provenance=made if n % 3 == 0 else None)
def save(place, drafts, author, slides=()):
    return place.save(drafts, author=author, request_id=uuid.uuid4().hex, slides=slides)
with open_store(store) as place:
    for slide in slides:
        record, saved = SlideRecord(fingerprint(slide), (slide.as_uri(),)), []
        for start in range(0, count // len(slides), 500):
            ids = [uuid.UUID(int=rng.getrandbits(128), version=4) for _ in range(500)]
            drafts = [Draft(one, content(record.slide_id, n)) for n, one in enumerate(ids, start)]
            saved += zip(drafts, save(place, drafts, ("anna", "ben")[start // 500 % 2], [record]))
        for draft, answer in saved[::20]:  # a second revision, and deletions
            other = Content(record.slide_id, draft.content.shape, PathClass("Other"), project="Colon")
            save(place, [Draft(draft.id, other, answer.revision)], "carla")
        gone = [Target(draft.id, answer.revision) for draft, answer in saved[1:200:20]]
        place.delete(gone, author="carla", request_id=uuid.uuid4().hex)
"""

DUMP = """
import qupath.lib.io.GsonTools
import qupath.lib.projects.ProjectIO
import java.awt.image.BufferedImage
def project = ProjectIO.loadProject(new File(args[0]), BufferedImage)
def found = new TreeMap()
project.getImageList().each { entry ->
    entry.readHierarchy().getAnnotationObjects().each {
        found[it.getID().toString()] = [
            image: entry.getImageName(), name: it.getName(), locked: it.isLocked(),
            className: it.getPathClass()?.toString(), wkt: it.getROI().getGeometry().toText(),
            kind: it.getROI().getRoiName(),
            metadata: new TreeMap(it.getMetadata()), color: it.getColor(),
            measurements: new TreeMap(it.getMeasurements().collectEntries { k, v -> [k.toString(), v.toString()] })]
    }
}
new File(args[1]).setText(GsonTools.getInstance().toJson(found), 'UTF-8')
"""


class Old(Environment):
    """The program of 0.1: its sources go before what is installed."""

    def __init__(self, folder: Path, tree: Path) -> None:
        super().__init__(folder)
        self._path = f"{tree / 'server'}:{tree}"

    def variables(self) -> dict[str, str]:
        """See `Environment`."""
        # 0.1 refuses a command that has no store, even with a --server that has one.
        return super().variables() | {"PYTHONPATH": self._path, "WSISAM_STORE": str(self.folder / "unused.sqlite")}

    def wsisam(self, *words: object, **more: str) -> tuple[int, str]:
        """Its exit status, and what it printed."""
        command = [self.programs / "python", "-m", "wsisam_server", *words]
        done = subprocess.run(
            [*map(str, command)],
            cwd=self.folder,
            env=self.variables() | more,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.returncode, done.stdout


def main() -> None:
    """Makes, upgrades, compares."""
    parser = argparse.ArgumentParser(description="Upgrade a store and a project of 0.1, and compare.")
    parser.add_argument("dist", type=Path)
    parser.add_argument("--keep", type=Path, required=True, help="the environments of check.py")
    parser.add_argument("--qupath", type=Path, required=True)
    parser.add_argument("--old", default=OLD)
    options = parser.parse_args()
    (wheel,) = options.dist.resolve().glob("wsisam-*.whl")
    folder = options.keep.resolve() / "server"
    new = Environment(folder)  # 0.1 had no light install: its sync needs what the server needs
    new.install(wheel, "[server,sync]")
    with tempfile.TemporaryDirectory(prefix="wsisam-upgrade-") as scratch:
        work = Path(scratch)
        tree = work / "old"
        packed = subprocess.run(["git", "archive", options.old], check=True, stdout=subprocess.PIPE).stdout  # noqa: S607
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(tree, filter="data")
        slides = _slides(new, work)
        store = work / "annotations.sqlite"
        old = Old(folder, tree)
        old.run("python", "-c", MAKE_STORE, store, COUNT, *slides)
        project = _project(work, slides, options.qupath)
        java = {"PAQUO_QUPATH_DIR": str(options.qupath.resolve())}
        print("0.1 syncs:", _last(_ok(old.wsisam("sync", project, "--store", store, **java))))
        _upgraded(old, new, store, work)
        _synced(new, project, store, work, options.qupath, java)
        _old_client(old, new, store, work, java)


def _slides(environment: Environment, work: Path) -> list[Path]:
    folder = work / "slides"
    folder.mkdir()
    slides = []
    for number in range(SLIDES):
        slides.append(folder / f"discs {number}.png")
        script = PICTURE.replace("(600, 250, 90)", f"(600, 250, {90 - number})")
        environment.run("python", "-c", script, slides[-1])
    return slides


def _project(work: Path, slides: list[Path], qupath: Path) -> Path:
    folder = work / "Colon"
    folder.mkdir()
    script = MAKE_PROJECT.replace("def builder", "args[1..-1].each { path ->\ndef builder").replace("args[1]", "path")
    (work / "make.groovy").write_text(script.replace("project.syncChanges()", "}\nproject.syncChanges()"))
    _groovy(qupath, work / "make.groovy", folder, *slides)
    return folder / "project.qpproj"


def _groovy(qupath: Path, script: Path, *words: object) -> None:
    arguments = [text for word in words for text in ("--args", str(word))]
    subprocess.run([qupath / "bin" / "QuPath", "script", script, *arguments], check=True, stdout=subprocess.DEVNULL)


def _ok(done: tuple[int, str]) -> str:
    if done[0]:
        sys.exit(f"0.1 failed with {done[0]}:\n{done[1]}")
    return done[1]


def _last(text: str) -> str:
    return text.strip().splitlines()[-1]


def _rows(store: Path, table: str, key: str) -> dict[object, dict[str, object]]:
    with sqlite3.connect(store) as connection:
        connection.row_factory = sqlite3.Row
        return {row[key]: dict(row) for row in connection.execute(f"select * from {table}")}  # noqa: S608


def _upgraded(old: Old, new: Environment, store: Path, work: Path) -> None:
    """The store: each row as it was, but for columns that are new; and each object of an export."""
    for folder in ("before", "after"):
        (work / folder).mkdir()
    _ok(old.wsisam("export", work / "before", "--store", store))
    shutil.copy(store, work / "before.sqlite")
    refused = new.run("wsisam", "export", work / "after", "--store", store, status=1)
    print("0.2 before the upgrade:", _last(refused))
    started = time.monotonic()
    new.run("wsisam", "db", "upgrade", "--store", store)
    print(f"upgraded in {time.monotonic() - started:.1f} s;", _last(new.run("wsisam", "db", "check", "--store", store)))
    for table, key in (("revision", "number"), ("annotation", "id"), ("slide", "number"), ("slide_uri", "number")):
        was, now = _rows(work / "before.sqlite", table, key), _rows(store, table, key)
        kept = {one: {name: now[one][name] for name in row} for one, row in was.items() if one in now}
        if was != kept or len(now) != len(was):
            sys.exit(f"{table}: {sum(kept.get(one) != row for one, row in was.items())} rows are not as they were")
        print(f"{table}: {len(was)} rows, each as it was")
    new.run("wsisam", "export", work / "after", "--store", store)
    before, after = (_features(work / folder) for folder in ("before", "after"))
    _same("exported objects", before, after)


def _features(folder: Path) -> dict[str, object]:
    """Of a file, or of all files in a folder, by id."""
    files = sorted(folder.glob("*.geojson")) if folder.is_dir() else [folder]
    collections = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    return {one["id"]: one for collection in collections for one in collection["features"]}


def _same(what: str, before: dict[str, object], after: dict[str, object]) -> None:
    different = [one for one in before.keys() | after.keys() if before.get(one) != after.get(one)]
    if different:
        one = different[0]
        sys.exit(f"{what}: {len(different)} differ, such as\n{before.get(one)}\n{after.get(one)}")
    print(f"{what}: {len(before)} of {len(after)} are the same")


def _synced(new: Environment, project: Path, store: Path, work: Path, qupath: Path, java: dict[str, str]) -> None:
    """The project: nothing is added, changed, removed or in conflict, and each object is as it was."""
    (work / "dump.groovy").write_text(DUMP)
    _groovy(qupath, work / "dump.groovy", project, work / "objects before.json")
    for number in (1, 2):
        report = work / f"report {number}.json"
        print("0.2 syncs:", _last(new.run("wsisam", "sync", project, "--store", store, "--json", report, **java)))
        changes = [one for image in json.loads(report.read_text())["images"] for one in image["annotations"]]
        if changes:
            sys.exit(f"the sync changed or would change {len(changes)}, such as {changes[0]}")
    _groovy(qupath, work / "dump.groovy", project, work / "objects after.json")
    before, after = (json.loads((work / f"objects {when}.json").read_text()) for when in ("before", "after"))
    _same("QuPath's objects", before, after)


def _old_client(old: Old, new: Environment, store: Path, work: Path, java: dict[str, str]) -> None:
    """What somebody reads who did not upgrade; none may be a Python traceback, or a wrong result without a word."""
    slide = work / "slides" / "discs 0.png"
    copy = work / "served.sqlite"
    shutil.copy(store, copy)
    with Server(new, "--slides", work / "slides", "--store", copy) as running:
        there = ("--server", running.target)
        calls = {
            "segment": old.wsisam("segment", slide, "--box", BOX, "--geojson", work / "old.geojson", *there),
            "export": old.wsisam("export", work / "old export.geojson", "--slide", slide, *there),
            "import": old.wsisam("import", work / "old.geojson", "--slide", slide, *there),
            "replay": old.wsisam("replay", *there),
            "sync": old.wsisam("sync", work / "Colon" / "project.qpproj", *there, **java),
        }
    for name, (status, said) in calls.items():
        print(f"0.1's {name} at the server of 0.2 ends with {status}: {_last(said or '-')}")
    asked, kept = (_features(work / name) for name in ("old export.geojson", "after"))
    _same("what 0.1 exports of a slide", asked, {one: kept[one] for one in asked})
    if "another release than this server's" not in calls["import"][1]:
        sys.exit("0.1 saves, or is not told why it cannot")
    crashed = [name for name, (_, said) in calls.items() if "Traceback" in said]
    before, after = (_rows(path, "annotation", "id") for path in (store, copy))
    changed, fresh = sum(after.get(one) != row for one, row in before.items()), len(after.keys() - before.keys())
    print(f"of {len(before)} annotations on the server, {changed} were changed by them, and {fresh} are new")
    if crashed:
        sys.exit(f"without a word, with a traceback: {', '.join(crashed)}")


if __name__ == "__main__":
    main()
