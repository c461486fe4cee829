"""The other process: what goes wrong there becomes a text that says what to do, and never a wait without end."""

import contextlib
import subprocess
import sys
from pathlib import Path

import filelock
import psutil
import pytest
import shapely

from annotations.sync.worlds import DOUBLE, World
from wsisam_server.annotations.sync.errors import SyncError
from wsisam_server.annotations.sync.process import COMMAND, QuPathProcess

SQUARE = shapely.box(10, 10, 60, 50)


@pytest.fixture
def world(double_tools, tmp_path, store, slides):
    project = double_tools.editor.create(str(tmp_path / "Colon"), [str(path) for path in slides])
    return World(double_tools, Path(project), store, slides)


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        ("no paquo", 'pip install ".[sync]"'),
        ("no QuPath", "PAQUO_QUPATH_DIR"),
        ("no Java", "does not start"),
    ],
)
def test_what_is_missing_is_said_with_what_to_do(problem, text):
    process = QuPathProcess([*DOUBLE, "--problem", problem])
    with pytest.raises(SyncError, match="as the test wants") as caught:
        process.start()
    process.close()
    assert text in str(caught.value)


def test_without_paquo(tmp_path):
    """The real program, where paquo cannot be imported."""
    (tmp_path / "paquo.py").write_text("raise ImportError('there is none')")
    process = QuPathProcess(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import runpy; runpy.run_module('wsisam_server.annotations.sync.runner', run_name='__main__')",
        ]
    )
    with pytest.raises(SyncError, match="sync needs paquo"):
        process.start()
    process.close()


def test_without_qupath(monkeypatch, tmp_path):
    """The real program and the real paquo, which finds no QuPath."""
    pytest.importorskip("paquo", reason='paquo is not installed here; pip install ".[sync]"', exc_type=ImportError)
    monkeypatch.setenv("PAQUO_QUPATH_DIR", str(tmp_path))
    process = QuPathProcess(COMMAND)
    with pytest.raises(SyncError, match="finds no QuPath") as caught:
        process.start()
    process.close()
    assert "PAQUO_QUPATH_DIR" in str(caught.value)


def test_a_program_that_ends_says_its_last_words(world):
    world.draw(SQUARE)
    with pytest.raises(SyncError, match=r"status 134.*a fatal error was detected"):
        world.sync(process=QuPathProcess([*DOUBLE, "--crash"]))


def test_a_program_that_does_not_start_in_time():
    process = QuPathProcess([*DOUBLE, "--hang"], start_seconds=0.5)
    with pytest.raises(SyncError, match=r"after 0\.5 s"):
        process.start()
    process.close()


def test_a_program_that_does_not_answer_in_time(world):
    world.draw(SQUARE)
    with pytest.raises(SyncError, match=r"--time-limit") as caught:
        world.sync(process=QuPathProcess([*DOUBLE, "--stall"], request_seconds=0.5))
    assert "first.png" in str(caught.value)


def test_a_program_that_says_nonsense():
    process = QuPathProcess([sys.executable, "-c", "print('nonsense', flush=True); import time; time.sleep(60)"])
    with pytest.raises(SyncError, match="ended unexpectedly"):
        process.start()
    process.close()


def test_it_ends_when_whoever_started_it_is_gone():
    """Killed: nobody is left to end it."""
    code = (
        "import sys; from wsisam_server.annotations.sync.process import QuPathProcess\n"
        f"process = QuPathProcess({list(DOUBLE)!r}); process.start(); print(process._process.pid, flush=True)\n"
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    pid = int(done.stdout)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(20)
    assert not psutil.pid_exists(pid)


def test_another_sync_of_the_same_project_is_kept_out(world):
    (world.folder / "wsisam-sync").mkdir()
    with filelock.FileLock(world.folder / "wsisam-sync/lock"), pytest.raises(SyncError, match="another sync"):
        world.sync()


def test_a_project_that_is_not_there(world):
    world.project = world.folder / "nothing.qpproj"
    with pytest.raises(SyncError, match="no project"):
        world.sync()


@pytest.mark.process
def test_a_project_file_that_is_damaged(world):
    world.project.write_text("{")
    with pytest.raises(SyncError, match=r"project file .* is damaged"):
        world.sync()
