"""One of the random histories of `benchmarks/sync_histories.py`, with the double of QuPath."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

pytestmark = [pytest.mark.process, pytest.mark.timeout(900)]


@pytest.mark.skipif(os.name != "posix", reason="syncs are forked, and killed by signals")
def test_nothing_is_lost_and_nothing_comes_back():
    words = [sys.executable, str(ROOT / "benchmarks/sync_histories.py"), "--histories=1", "--steps=12", "--double"]
    done = subprocess.run(
        words, env=os.environ | {"PYTHONPATH": str(ROOT / "tests")}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("as it must be") == 1
