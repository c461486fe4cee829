"""A QuPath that has an image open: what is seen of it, and what a sync then does."""

import contextlib
import json
import os
import platform
import subprocess
import sys

import psutil
import pytest
import shapely

from wsisam_server.annotations.sync.report import Outcome
from wsisam_server.annotations.sync.running import RunningQuPath, noted, running

SQUARE = shapely.box(10, 10, 60, 50)

RUNNING = "import sys; print('up', flush=True); sys.stdin.read()"

# As Java wrote it for QuPath 0.7, which had opened one project after another.
NODE = ".java/.userPrefs/_!'k!bw!u!'c!a@\"0!'g!d@\"i!#4!c@\"1!(!!}@\"0!'g=/_!$!!.g!3"
PREFS = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<!DOCTYPE map SYSTEM "http://java.sun.com/dtd/preferences.dtd">
<map MAP_XML_VERSION="1.0">
  <entry key="recentProject0" value="{}"/>
  <entry key="recentProject1" value="{}"/>
</map>
"""


@contextlib.contextmanager
def program(*words, main_class="qupath.QuPath", recent=(), root=None, environment=None):
    """A process that looks like QuPath's: what it opened last is in its preferences, and it holds no file of a slide.

    So does QuPath where OpenSlide reads the slide, and where a plain image was read whole.
    """
    if root is not None:
        (root / NODE).mkdir(parents=True, exist_ok=True)
        (root / NODE / "prefs.xml").write_text(PREFS.format(*(path.as_uri() for path in recent)))
        words = (f"-Djava.util.prefs.userRoot={root}", *words)
    command = [sys.executable, "-c", RUNNING, main_class, *map(str, words)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    try:
        assert process.stdout.readline() == b"up\n"
        yield process.pid
    finally:
        process.communicate()


def seen(pid):
    (found,) = [qupath for qupath in running() if qupath.pid == pid]
    return found


@pytest.fixture
def root(tmp_path):
    return tmp_path / "preferences"


def projects(tmp_path):
    found = [tmp_path / name / "project.qpproj" for name in ("one", "two")]
    for path in found:
        path.parent.mkdir()
        path.write_text("{}")
    return found


def test_the_project_that_a_qupath_opened_last_is_seen(tmp_path, root):
    one, two = projects(tmp_path)
    with program(recent=(one, two), root=root) as pid:
        assert "opened last" in seen(pid).why_open(one)
        assert seen(pid).why_open(two) is None
    assert pid not in {qupath.pid for qupath in running()}


def test_preferences_that_the_environment_names_are_read(tmp_path, root):
    one, two = projects(tmp_path)
    with program(recent=(one, two), root=root):
        pass
    options = {"JAVA_TOOL_OPTIONS": f'"-Djava.util.prefs.userRoot={root}"'}
    with program(environment=os.environ | options) as pid:
        assert seen(pid).why_open(one)


@pytest.mark.parametrize(
    "words", [("--project", "{}"), ("-p", "{}"), ("--project={}",), ("script", "-p", "{}", "x.groovy")]
)
def test_the_project_that_a_qupath_was_started_with_is_seen(tmp_path, root, words):
    one, two = projects(tmp_path)
    with program(*(word.format(one) for word in words), recent=(two, two), root=root) as pid:
        assert "started with" in seen(pid).why_open(one)


def test_a_project_is_the_same_by_any_way_to_it(tmp_path, root):
    one, two = projects(tmp_path)
    (tmp_path / "link").symlink_to(one.parent)
    with program(recent=(tmp_path / "link" / one.name, two), root=root) as pid:
        assert seen(pid).why_open(one)


def note(project, pid, **more):
    folder = project.parent / "wsisam-sync" / "open"
    folder.mkdir(parents=True, exist_ok=True)
    started = psutil.Process(pid).create_time() if psutil.pid_exists(pid) else 0
    said = {"host": platform.node(), "pid": pid, "started": started, "user": "anna", **more}
    (folder / f"{said['host']}-{pid}.json").write_text(json.dumps(said))


def test_what_our_scripts_noted_counts_as_long_as_that_qupath_runs(tmp_path):
    one, _ = projects(tmp_path)
    assert noted(one) is None
    note(one, os.getpid())
    assert f"process {os.getpid()}" in noted(one)
    note(one, os.getpid(), started=1)
    assert noted(one) is None, "another process got its number"
    note(one, 4_000_000, host="another-machine")
    assert "another-machine (anna)" in noted(one)


def test_other_programs_are_not_taken_for_qupath(tmp_path):
    path = tmp_path / "slide.svs"
    path.write_bytes(b"")
    with program(path, main_class="org.other.Viewer") as pid:
        assert pid not in {qupath.pid for qupath in running()}


@pytest.mark.parametrize("sign", ["recent", "started", "note"])
def test_a_project_that_qupath_has_open_is_not_written(world, root, sign):
    one, two = world.save(SQUARE), world.save(SQUARE, image="2")
    drawn = world.draw(SQUARE)
    before = world.files()["data/1/data.qpdata"]
    recent = (world.project, world.project) if sign == "recent" else (root / "other.qpproj",) * 2
    words = ("-p", world.project) if sign == "started" else ()
    with program(*words, recent=recent, root=root) as pid:
        if sign == "note":
            note(world.project, pid)
        report = world.sync()
        assert [image.outcome for image in report.images] == [Outcome.FAILED, Outcome.FAILED]
        assert f"process {pid}" in report.images[0].failures[0]
        assert "--even-if-open" in report.images[0].failures[0]
        assert world.files()["data/1/data.qpdata"] == before
        assert one not in world.shown()
        assert drawn not in world.stored(), "found before the store was touched"
    assert world.sync().status == 0
    assert world.shown().keys() == world.stored().keys() - {two} == {one, drawn}


def test_a_qupath_with_another_project_is_no_hindrance(world, root):
    one = world.save(SQUARE)
    with program(recent=(root / "other.qpproj",) * 2, root=root):
        report = world.sync()
    assert report.status == 0
    assert any("QuPath is running" in text for text in report.notes)
    assert world.shown().keys() == {one}


def test_what_qupath_shows_is_read_all_the_same(world, root):
    """Nothing is written in the project, so nothing can be overwritten."""
    drawn = world.draw(SQUARE)
    with program(recent=(world.project,) * 2, root=root):
        assert world.sync().status == 0
    assert world.stored().keys() == {drawn}


def test_who_knows_better_may_write(world, root):
    one = world.save(SQUARE)
    with program(recent=(world.project,) * 2, root=root):
        report = world.sync(even_if_open=True)
        assert report.status == 0
    assert world.shown().keys() == {one}


def test_a_file_that_is_held_is_seen(tmp_path):
    path = tmp_path / "Slide.png"
    path.write_bytes(b"")
    found = RunningQuPath(1, frozenset({str(path)}))
    assert found.shows([tmp_path / "other.svs", path])
    assert not found.shows([tmp_path / "other.svs"])
