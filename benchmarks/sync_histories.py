"""Random histories of three people with projects on the same slides and one store: nothing is lost, nothing comes back.

Run: PYTHONPATH=tests python benchmarks/sync_histories.py [--histories 50] [--seed 1] [--steps 25] [--json OUT]

Each history is made of its seed alone, but for the moments of kills. People draw, rename and delete; their projects are
synced, by `wsisam sync` and by WsiSamSync; syncs are killed (SIGKILL) at random moments, and so is the server while a
sync runs; projects are copied, and drives with slides go away and come back. After each step, and at the end, when
everything was synced until nothing is new: what somebody kept is not gone unless somebody deleted it, what was deleted
is not back, and nothing lies on another slide. What is in conflict, or was changed by two who knew nothing of each
other, may be either way.

The server is a process of its own (`wsisam serve`), and so is each sync. Where PAQUO_QUPATH_DIR names a QuPath, and
paquo is there, both ways are real; else QuPath is the tests' double, and WsiSamSync is the double of it, which works on
the store's file. A line a history, with its seed; the exit status is 1 when one was wrong, and its steps are printed.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from annotations.sync.double import Editor
from annotations.sync.script_double import Script
from annotations.sync.worlds import DOUBLE, DoubleTools, RealEditor, World
from support.qupath_program import qupath_or_skip
from support.server_process import Starter
from support.sync_people import SIDE, People, Project, Wrong
from wsisam_server.annotations.store import AnnotationFilter, open_store
from wsisam_server.annotations.sync.errors import SyncError
from wsisam_server.annotations.sync.options import Options
from wsisam_server.annotations.sync.process import COMMAND, QuPathProcess
from wsisam_server.annotations.sync.syncing import sync
from wsisam_server.client import Client
from wsisam_server.client.remote_store import RemoteStore
from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.qupath import find_bundle
from wsisam_server.slides import fingerprint

PEOPLE = ("anna", "ben", "clara")
SLIDES = ("1", "2", "3")
MOST_PROJECTS = 5
ROUNDS = 6
"""Of all projects, until nothing is new: a change goes to the store in one and to the last project in another."""

WEIGHTS = {"draw": 6, "rename": 3, "delete": 3, "command": 4, "script": 4, "copy": 0.6, "drive": 1}
TROUBLE = ("", "", "", "kill", "kill", "kill", "server")
"""What happens to a sync."""

FAILED = 2


# -- One sync, in a process that can be killed ----------------------------------------------------


def obey() -> None:
    """Does what each line of the standard input asks, in a fork: all is imported already."""
    for line in sys.stdin:
        said = json.loads(line)
        pid = os.fork()
        if pid == 0:
            status = 99
            try:
                os.setsid()
                status = {"command": by_command, "script": by_script}[said["way"]](said)
            finally:
                os._exit(status)
        os.write(1, f"started {pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        os.write(1, f"ended {os.waitstatus_to_exitcode(status)}\n".encode())


def by_command(said: dict[str, Any]) -> int:
    """As `wsisam sync` does it, with a server."""
    conflicts: list[str] = []
    try:
        with RemoteStore(Client(said["target"], timeout=30)) as store:
            process = QuPathProcess(DOUBLE if said["double"] else COMMAND)
            report = sync(Path(said["project"]), store, process, Options(even_if_open=True), author=said["author"])
    except (SyncError, WsiSamServerError) as error:
        Path(said["report"]).write_text(json.dumps({"error": str(error)}))
        return FAILED
    conflicts = [str(one.id) for image in report.images for one in image.conflicts]
    failures = [text for image in report.images for text in image.failures]
    Path(said["report"]).write_text(json.dumps({"conflicts": conflicts, "failures": failures}))
    return report.status


def by_script(said: dict[str, Any]) -> int:
    """As WsiSamSync does it: its double."""
    conflicts = []
    slides = [Path(path) for path in said["slides"]]
    with open_store(said["store"]) as store:
        world = World(DoubleTools(), Path(said["project"]), store, slides, author=said["author"])
        for number, slide in enumerate(slides, start=1):
            if slide.exists():
                verbs = Script(world).sync(str(number))
                conflicts += [str(one) for one, verb in verbs.items() if verb.value == "conflict"]
    Path(said["report"]).write_text(json.dumps({"conflicts": conflicts, "failures": []}))
    return 1 if conflicts else 0


class Syncs:
    """Starts them, and kills some.

    Args:
        log: gets what they complain of.
        double: QuPath is the double.
    """

    def __init__(self, log: Path, *, double: bool) -> None:
        self.double = double
        self.usual = {"command": 1.0, "script": 0.5}
        words = [sys.executable, __file__, "--obey"]
        self._errors = log.open("w")
        self._program = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, bufsize=1
        )

    def run(self, said: dict[str, Any], after: float | None = None, interrupt: Any = None) -> int | None:
        """One sync; its exit status, None when it was killed.

        Args:
            said: see `obey`.
            after: the share of its usual time after which it is killed, or `interrupt` called.
            interrupt: called then, in its place.
        """
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.write(json.dumps({**said, "double": self.double}) + "\n")
        pid, began = int(self._program.stdout.readline().split()[1]), time.perf_counter()
        if after is not None:
            time.sleep(after * self.usual[said["way"]])
            if interrupt is not None:
                interrupt()
            else:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
        status = int(self._program.stdout.readline().split()[1])
        if after is None:
            self.usual[said["way"]] = time.perf_counter() - began
        return None if status == -signal.SIGKILL else status

    def close(self) -> None:
        """Ends the program."""
        assert self._program.stdin is not None
        self._program.stdin.close()
        self._program.wait()
        self._errors.close()


class RealScript:
    """WsiSamSync in a real QuPath without a window, one start for all images of a project."""

    def __init__(self, folder: Path) -> None:
        self._qupath = qupath_or_skip(folder)
        (self._path,) = [one for one in find_bundle().scripts if one.name == "WsiSamSync.groovy"]
        self.usual = 20.0

    def run(self, said: dict[str, Any], after: float | None = None, interrupt: Any = None) -> int | None:
        """See `Syncs.run`."""
        words = [self._qupath.launcher, "script", "--project", said["project"], "--save"]
        words += ["--args", f"server={said['target']}", "--args", f"author={said['author']}", self._path]
        began = time.perf_counter()
        process = subprocess.Popen(
            list(map(str, words)),
            env=self._qupath.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        if after is not None:
            time.sleep(after * self.usual)
            if interrupt is not None:
                interrupt()
            else:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        if after is None:
            self.usual = time.perf_counter() - began
        if process.returncode == -signal.SIGKILL:
            return None
        lines = [line for line in output.splitlines() if line.partition(": ")[0] in {f"{one}.png" for one in SLIDES}]
        conflicts = [word.strip("();:,") for line in lines if "conflict" in line for word in line.split()]
        failures = [line for line in lines if "not synced" in line]
        known = [word for word in conflicts if len(word) == len(str(uuid.UUID(int=0))) and word.count("-") == 4]
        Path(said["report"]).write_text(json.dumps({"conflicts": known, "failures": failures}))
        return FAILED if failures or process.returncode else 0


# -- A history -------------------------------------------------------------------------------------


class History:
    """One history, made of its seed.

    Args:
        seed: of all that is random in it.
        folder: an empty one.
        starter: of servers.
        syncs: of `wsisam sync`, and of WsiSamSync's double.
        script: WsiSamSync in a real QuPath; None for the double.
        editor: a person in QuPath.
    """

    def __init__(
        self, seed: int, folder: Path, starter: Starter, syncs: Syncs, script: RealScript | None, editor: Any
    ) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - no secret
        self._folder = folder
        self._starter = starter
        self._ways = {"command": syncs, "script": script or syncs}
        self.steps: list[str] = []
        self.counts: Counter[str] = Counter()
        self._slides = self._make_slides()
        self._ids = {fingerprint(path): number for number, path in zip(SLIDES, self._slides, strict=True)}
        self._store = folder / "annotations.sqlite"
        self._people = People(editor, self._stored)
        for person in PEOPLE:
            path = folder / person
            editor.create(str(path), [str(one) for one in self._slides])
            self._people.projects.append(Project(person, path))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._serve()

    def run(self, steps: int) -> None:
        """Lives it.

        Raises:
            Wrong: something is not as it must be.
        """
        try:
            for project in self._people.projects:
                for _ in range(4):
                    self._draw(project)
            for _ in range(steps):
                (what,) = self._rng.choices(list(WEIGHTS), list(WEIGHTS.values()))
                project = self._rng.choice(self._people.projects)
                getattr(self, f"_{what}")(project)
                self._people.verify(settled=False)
            self._settle()
            self._people.verify(settled=True)
        finally:
            self._starter.kill(self._server)

    def _settle(self) -> None:
        for path in self._slides:
            self._away(path).exists() and self._away(path).rename(path)
        for turn in range(ROUNDS):
            before = self._stored(), [self._people.shown(one) for one in self._people.projects]
            for project in self._people.projects:
                way = ("command", "script")[turn % 2]
                status = self._sync(project, way, None)
                if status not in (0, 1):
                    raise Wrong(f"{project.folder.name} cannot be synced by {way}: {self._report()}")
            if turn > 1 and before == (self._stored(), [self._people.shown(one) for one in self._people.projects]):
                return
        raise Wrong(f"{ROUNDS} syncs of all projects do not come to an end")

    def _draw(self, project: Project) -> None:
        slide, x, y = self._rng.choice(SLIDES), self._rng.randrange(SIDE - 40), self._rng.randrange(SIDE - 40)
        name = f"{project.folder.name} {len(self._people.drawn)}"
        self._people.draw(project, slide, x, y, name)
        self._did("draw", f"{project.folder.name} draws {name} on {slide}")

    def _rename(self, project: Project) -> None:
        if (one := self._some(project)) is not None:
            name = f"{project.folder.name} names it {len(self.steps)}"
            self._did("rename", f"{project.folder.name} renames {self._people.drawn[one].name} to {name}")
            self._people.rename(project, one, name)

    def _delete(self, project: Project) -> None:
        if (one := self._some(project)) is not None:
            self._did("delete", f"{project.folder.name} deletes {self._people.drawn[one].name}")
            self._people.delete(project, one)

    def _some(self, project: Project) -> uuid.UUID | None:
        shown = sorted(self._people.shown(project), key=lambda one: list(self._people.drawn).index(one))
        return self._rng.choice(shown) if shown else None

    def _copy(self, project: Project) -> None:
        if len(self._people.projects) < MOST_PROJECTS:
            name = f"copy{len(self._people.projects)}"
            self._people.copy(project, self._folder / name, f"{project.person}'s colleague")
            self._did("copy", f"{project.folder.name} is copied to {name}")

    def _drive(self, project: Project) -> None:  # noqa: ARG002 - as the other steps
        path = self._rng.choice(self._slides)
        there = path.exists()
        path.rename(self._away(path)) if there else self._away(path).rename(path)
        self._did("drive", f"the drive with {path.name} {'goes away' if there else 'is back'}")

    def _command(self, project: Project) -> None:
        self._sync(project, "command", self._rng.choice(TROUBLE))

    def _script(self, project: Project) -> None:
        self._sync(project, "script", self._rng.choice(TROUBLE))

    def _sync(self, project: Project, way: str, trouble: str | None) -> int | None:
        before = {one for one, (_, _, deleted) in self._stored().items() if not deleted}
        slides = [number for number, path in zip(SLIDES, self._slides, strict=True) if path.exists()]
        (self._folder / "report.json").unlink(missing_ok=True)
        said = {
            "way": way,
            "project": str(project.file),
            "target": f"127.0.0.1:{self._port}",
            "author": f"qupath:{project.person}",
            "store": str(self._store),
            "slides": [str(path) for path in self._slides],
            "report": str(self._folder / "report.json"),
        }
        after = self._rng.uniform(0.05, 1.0) if trouble else None
        if trouble == "kill":
            status = self._ways[way].run(said, after)
        else:
            status = self._ways[way].run(said, after, self._restart if trouble == "server" else None)
        report = self._report()
        whole = status in (0, 1) and not report.get("failures")
        if whole:
            project.conflicts = {uuid.UUID(one) for one in report["conflicts"]}
        self._people.synced(project, before, slides, whole=whole)
        ended = "is killed" if status is None else f"ends with {status}"
        self._did(f"{way}{' killed' if status is None else ''}", f"{way} of {project.folder.name} {ended} {report}")
        return status

    def _report(self) -> dict[str, Any]:
        path = self._folder / "report.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def _serve(self) -> None:
        where = [f"--slides={self._folder / 'slides'}", f"--store={self._store}"]
        self._server = self._starter.start(*where, f"--port={self._port}")

    def _restart(self) -> None:
        self.counts["server killed"] += 1
        self._starter.kill(self._server)
        self._serve()

    def _did(self, what: str, text: str) -> None:
        self.counts[what] += 1
        self.steps.append(text)

    def _make_slides(self) -> list[Path]:
        random_pixels = np.random.default_rng(self._rng.randrange(2**32))
        (self._folder / "slides").mkdir()
        paths = [self._folder / "slides" / f"{number}.png" for number in SLIDES]
        for path in paths:
            Image.fromarray(random_pixels.integers(0, 255, (SIDE, SIDE, 3), np.uint8)).save(path)
        return paths

    def _away(self, path: Path) -> Path:
        return self._folder / f"away-{path.name}"

    def _stored(self) -> dict[uuid.UUID, tuple[str, str, bool]]:
        with open_store(str(self._store)) as store:
            page = store.listing(AnnotationFilter(), after=0, limit=10_000, deleted=True)
        return {
            one.id: (one.content.name, self._ids.get(one.content.slide_id, one.content.slide_id), one.deleted)
            for one in page.annotations
        }


def live(seeds: list[int], steps: int, *, double: bool) -> list[dict[str, Any]]:
    """Lives the histories of these seeds, and prints a line of each."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        syncs = Syncs(folder / "syncs.log", double=double)
        script = None if double else RealScript(folder)
        editor = Editor() if double else RealEditor()
        with Starter(folder / "server.log") as starter:
            for seed in seeds:
                began = time.perf_counter()
                (folder / str(seed)).mkdir()
                history = History(seed, folder / str(seed), starter, syncs, script, editor)
                wrong = ""
                try:
                    history.run(steps)
                except Wrong as error:
                    wrong = str(error)
                seconds = round(time.perf_counter() - began, 1)
                did = ", ".join(f"{count} {what}" for what, count in sorted(history.counts.items()))
                print(f"seed {seed}: {wrong or 'as it must be'}; {did}; {seconds} s", flush=True)
                if wrong:
                    print("\n".join(f"    {step}" for step in history.steps), flush=True)
                found.append({"seed": seed, "wrong": wrong, "counts": dict(history.counts), "seconds": seconds})
        syncs.close()
        complaints = (folder / "syncs.log").read_text()
    if complaints:
        print(complaints[-4000:], file=sys.stderr)
    return found


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--histories", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1, help="of the first; the others follow")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--double", action="store_true", help="the double, also where there is a QuPath")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--obey", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.obey:
        obey()
        return 0
    double = given.double or not os.environ.get("PAQUO_QUPATH_DIR")
    print(f"QuPath is {'the double' if double else os.environ['PAQUO_QUPATH_DIR']}", flush=True)
    found = live(list(range(given.seed, given.seed + given.histories)), given.steps, double=double)
    if given.json:
        date = dt.datetime.now(dt.timezone.utc).date().isoformat()
        given.json.write_text(json.dumps({"date": date, "double": double, "histories": found}, indent=1))
    return 1 if any(one["wrong"] for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
