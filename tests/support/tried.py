"""The row of this machine for the table of what was tried where; `make test` writes it when all tests have passed.

    python tests/support/tried.py >> build/tried.md

What a test would have skipped is "none" here: an installed QuPath that no variable names was not tried.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

COLUMNS = (
    "date",
    "commit",
    "system",
    "processor",
    "Python",
    "JDK",
    "QuPath",
    "PostgreSQL",
    "Ray",
    "OpenVINO",
    "torch",
    "GPU",
)
NONE = "none"


def row():
    """What the tests of this machine ran on, by column."""
    return {
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "commit": said(["git", "describe", "--always", "--dirty"]),
        "system": system(),
        "processor": f"{platform.machine()}, {os.cpu_count()} cores",
        "Python": platform.python_version(),
        "JDK": number(said(["javac", "-version"])),
        "QuPath": qupath(os.environ.get("PAQUO_QUPATH_DIR", "")),
        "PostgreSQL": number(said([initdb(), "--version"])),
        "Ray": installed("ray"),
        "OpenVINO": installed("openvino"),
        "torch": installed("torch"),
        "GPU": said(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]).replace("\n", "; "),
    }


def written(values):
    """A row of Markdown; a pipe in a value would end its column."""
    return "| " + " | ".join(values[name].replace("|", "/") for name in COLUMNS) + " |"


def head():
    """The table's first two lines."""
    return "| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|"


def system():
    """A name with a version: the distribution's, where there is one."""
    if sys.platform == "linux":
        try:
            name = platform.freedesktop_os_release()["PRETTY_NAME"]
        except (OSError, KeyError):
            name = "Linux"
        return f"{name}, kernel {platform.release().partition('-')[0]}"
    return platform.platform(terse=True)


def said(command):
    """What a program says; "none" where it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return NONE
    return (done.stdout or done.stderr).strip() or NONE


def number(text):
    """The version in a line."""
    found = re.search(r"\d+(\.\d+)*", text)
    return found[0] if found else NONE


def qupath(folder):
    """The version of the QuPath that tests drive."""
    files = (
        [path for name in ("VERSION", "*/VERSION", "*/*/VERSION") for path in Path(folder).glob(name)] if folder else []
    )
    if files:
        return number(files[0].read_text())
    return number(Path(folder).name) if folder else NONE


def initdb():
    """As support/postgresql.py finds it, without importing what that needs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return shutil.which("initdb") or (str(found[-1]) if found else "initdb")


def installed(package):
    """A package's version."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return NONE


if __name__ == "__main__":
    line = written(row())
    sys.stdout.write(f"{line}\n")
    sys.stderr.write(f"this machine, for the table of what was tried where:\n{head()}\n{line}\n")
