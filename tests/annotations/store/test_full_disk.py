"""A disk that really is full: a file system of four megabytes, and a limit on the size of files."""

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("full_disk.py")


def seen(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def mounting(script):
    """A command that runs a shell script where it may mount file systems that nobody else sees."""
    unshare = shutil.which("unshare")
    for more in ([], ["--user", "--map-root-user"]):
        command = [unshare, "--mount", *more, "sh", "-ec"]
        trial = [*command, "mount -t tmpfs none /mnt"]
        if unshare and subprocess.run(trial, capture_output=True, check=False).returncode == 0:
            return [*command, script]
    pytest.skip("this machine lets nobody mount a small file system (unshare --mount)")


def test_a_full_disk_is_said_so_and_nothing_is_lost(tmp_path):
    script = f"mount -t tmpfs -o size=4m none {tmp_path} && exec {sys.executable} {PROGRAM} {tmp_path}"
    found = seen(mounting(script))
    assert found["errors"] == ["STORE_FULL", "STORE_FULL"]
    assert found["catalogue"] == ["RESOURCE_EXHAUSTED"] * 2
    assert found["readable_while_full"]
    assert found["went_on"]
    assert found["acknowledged"] > 30
    assert found["lost"] == 0
    assert found["problems"] == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on the size of files")
def test_a_file_that_may_not_grow_is_said_so_and_nothing_is_lost(tmp_path):
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    found = seen([sys.executable, str(PROGRAM), str(tmp_path)], preexec_fn=limited)
    assert found["errors"] == ["STORE_UNAVAILABLE"] * 2  # SQLite says no more than "disk I/O error"
    assert found["catalogue"] == ["UNAVAILABLE"] * 2
    assert found["readable_while_full"]
    assert found["acknowledged"] > 10
    assert found["lost"] == 0
    assert found["problems"] == []
