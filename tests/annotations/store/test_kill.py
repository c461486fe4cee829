"""Writers that are killed without warning: what was acknowledged is there, and nothing is torn."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from annotations.store.writer import BATCH, content
from wsisam_server.annotations.store import AnnotationFilter, open_store
from wsisam_server.annotations.store.upkeep import check

WRITER = Path(__file__).with_name("writer.py")
KILLS = int(os.environ.get("WSISAM_KILLS", "40"))
"""On SQLite; 200 take minutes on a busy machine."""


@contextlib.contextmanager
def program(where):
    process = subprocess.Popen(
        [sys.executable, str(WRITER), where], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def killed_once(process, delay, *, after_first):
    """Starts a writer, kills it after a delay, and returns what it had been told is safe."""
    process.stdin.write("go\n")
    pid, acknowledged = None, []
    if not after_first:
        pid = int(process.stdout.readline().split()[1])
        time.sleep(delay)
        os.kill(pid, signal.SIGKILL)
    for line in process.stdout:
        kind, *words = line.split()
        if kind == "gone":
            return acknowledged
        if kind == "pid":
            pid = int(words[0])
        else:
            acknowledged.append([uuid.UUID(word) for word in words])
            if len(acknowledged) == 1 and after_first:
                time.sleep(delay)
                os.kill(pid, signal.SIGKILL)
    raise AssertionError("the writers' program ended")


@pytest.mark.parametrize(("kind", "times"), [("sqlite", KILLS), ("postgres", KILLS // 4)])
def test_nothing_acknowledged_is_lost_and_nothing_is_torn(request, tmp_path, kind, times):
    where = request.getfixturevalue("postgres")() if kind == "postgres" else str(tmp_path / "annotations.sqlite")
    open_store(where).close()
    acknowledged = []
    # A second writer keeps the store busy all the time.
    with program(where) as victims, program(where) as load:
        load.stdin.write("go\n")
        loader = int(load.stdout.readline().split()[1])
        stored_beside = ThreadPoolExecutor(1).submit(list, iter(load.stdout.readline, "gone\n"))
        for number in range(times):
            # Some die while they open the store or store for the first time, most in the middle of their work.
            early = number % 8 == 0
            acknowledged += killed_once(victims, random.uniform(0, 0.03), after_first=not early)
        os.kill(loader, signal.SIGKILL)
        acknowledged += [list(map(uuid.UUID, line.split()[1:])) for line in stored_beside.result(30)]
    assert len(acknowledged) > times / 2

    found, after = {}, 0
    with open_store(where) as store:
        while True:
            page = store.listing(AnnotationFilter(), after=after, limit=1000)
            found.update({one.id: one.content for one in page.annotations})
            after = page.revision
            if page.complete:
                break
        lost = [one for batch in acknowledged for one in batch if one not in found]
        assert lost == []
        assert len(found) % BATCH == 0
        assert store.head() == len(found)
    assert all(one == content(annotation_id) for annotation_id, one in found.items())
    assert check(where).problems == ()
