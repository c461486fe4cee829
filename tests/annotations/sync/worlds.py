"""Two worlds in which a sync can be tried: with a double of QuPath, and with a real one, if this machine has it."""

import os
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import shapely

from annotations.sync.double import Editor
from wsisam_server.annotations.store import AnnotationFilter, Content, Draft, PathClass, Target
from wsisam_server.annotations.sync.errors import SyncError
from wsisam_server.annotations.sync.options import Options
from wsisam_server.annotations.sync.process import COMMAND, QuPathProcess
from wsisam_server.annotations.sync.runner import wire
from wsisam_server.annotations.sync.syncing import sync
from wsisam_server.slides import fingerprint

HERE = Path(__file__).parent
DOUBLE = (sys.executable, str(HERE / "fake_qupath.py"))


class KeptProcess(QuPathProcess):
    """QuPath's program, kept for the next sync: it takes seconds to start."""

    def start(self):
        if not self.is_running:
            super().start()

    def close(self):
        pass

    def end(self):
        super().close()


class RealEditor:
    """A person with a real QuPath."""

    def __init__(self):
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "qupath_editor.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        started, _ = wire.receive(self._process.stdout)
        assert "version" in started, started
        self.version = started["version"]

    def __getattr__(self, call):
        def ask(*arguments):
            wire.send(
                self._process.stdin,
                {"call": call, "arguments": [str(one) if isinstance(one, Path) else one for one in arguments]},
            )
            answer, _ = wire.receive(self._process.stdout)
            if "error" in answer:
                self._errors.seek(0)
                raise AssertionError(f"{answer['error']}: {self._errors.read().decode(errors='replace')[-3000:]}")
            return answer["result"]

        return ask

    def end(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()


class DoubleTools:
    """The world of the double."""

    name = "double"

    def __init__(self):
        self.editor = Editor()
        self.command = DOUBLE
        self._kept = KeptProcess(DOUBLE)

    def process(self):
        return self._kept

    def end(self):
        self._kept.end()


class RealTools:
    """The world of a real QuPath, found as paquo finds it."""

    name = "qupath"

    def __init__(self):
        self.command = COMMAND
        self._kept = KeptProcess()
        try:
            self._kept.start()
        except SyncError as error:
            self._kept.end()
            pytest.skip(f"needs a QuPath: {error}")
        self.editor = RealEditor()

    def process(self):
        return self._kept

    def end(self):
        self._kept.end()
        self.editor.end()


def hexed(shape):
    return shapely.to_wkb(shape, hex=True)


@dataclass
class World:
    """A project with two images, and a store."""

    tools: object
    project: Path
    store: object
    slides: list
    steps: list = field(default_factory=list)
    author: str = "qupath:tester"

    @property
    def folder(self):
        return self.project.parent

    def sync(self, process=None, listener=None, store=None, **options):
        return sync(
            self.project,
            store or self.store,
            process or self.tools.process(),
            Options(**options),
            author=self.author,
            store_name="a store",
            listener=listener,
        )

    # A person in QuPath

    def draw(self, shape, image="1", **said):
        return uuid.UUID(self.tools.editor.draw(self.project, image, {"shape": hexed(shape), **said}))

    def edit(self, one, image="1", **said):
        if "shape" in said:
            said["shape"] = hexed(said["shape"])
        self.tools.editor.edit(self.project, image, str(one), said)

    def delete(self, *ones, image="1"):
        self.tools.editor.delete(self.project, image, list(map(str, ones)))

    def dump(self, image="1"):
        return self.tools.editor.dump(self.project, image)

    def shown(self, image="1"):
        """The annotations that QuPath shows, by id."""
        kinds = ("annotation", "PathAnnotationObject")
        return {uuid.UUID(item["id"]): item for item in self.dump(image)["objects"] if item["kind"] in kinds}

    def shape(self, one, image="1"):
        return shapely.from_wkb(self.shown(image)[one]["shape"])

    # The store

    def slide_id(self, image="1"):
        return fingerprint(self.slides[int(image) - 1])

    def save(self, shape, annotation_id=None, expected=0, image="1", author="alice", **more):
        """A colleague's annotation, or her change to one."""
        annotation_id = annotation_id or uuid.uuid4()
        content = Content(**{"slide_id": self.slide_id(image), "shape": shape, **more})
        self.store.save([Draft(annotation_id, content, expected)], author=author, request_id=uuid.uuid4().hex)
        return annotation_id

    def change(self, one, author="alice", **more):
        """A colleague's change."""
        now = self.store.get(one)
        self.store.save(
            [Draft(one, replace(now.content, **more), now.revision)], author=author, request_id=uuid.uuid4().hex
        )

    def discard(self, *ones):
        targets = [Target(one, self.store.get(one).revision) for one in ones]
        self.store.delete(targets, author="alice", request_id=uuid.uuid4().hex)

    def stored(self, *, deleted=False):
        found, after = {}, 0
        while True:
            page = self.store.listing(AnnotationFilter(), after=after, limit=1000, deleted=deleted)
            found.update({one.id: one for one in page.annotations})
            after = page.revision
            if page.complete:
                return found

    # Files

    def files(self, *, without=("wsisam-sync/lock",)):
        """Every file of the project, by its path in it."""
        found = {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }
        return {name: data for name, data in found.items() if name not in without}


def path_class(name, rgb=0xC80000):
    return PathClass(name, rgb)


def environment(folder):
    """Where QuPath keeps its preferences while it is tested."""
    options = os.environ.get("PAQUO_JAVA_OPTS", '["-XX:MaxRAMPercentage=50"]')
    return options[:-1] + f', "-Djava.util.prefs.userRoot={folder}"]'
