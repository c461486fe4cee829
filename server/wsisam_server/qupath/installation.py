"""The note for QuPath of which Python has wsisam, so that QuPath can start a server on this computer."""

from __future__ import annotations

import json
from pathlib import Path

import wsisam_server

PLACE = "wsisam/installation.json"
"""Below the user directory. `io/wsisam/extension/local/Installation.java` reads it."""

LOCAL_FOLDER = "wsisam/local"
"""Below the user directory; there the extension keeps token, record and log of a server that it started."""


def note(python: str) -> bytes:
    """What is written down.

    Args:
        python: the program, as `sys.executable`: of a virtual environment its own, not what that is a link to.
    """
    return f"{json.dumps({'wsisam': wsisam_server.__version__, 'python': python}, indent=2)}\n".encode()


def noted(file: Path) -> Path | None:
    """The Python of a note; None where there is none that can be read."""
    try:
        return Path(json.loads(file.read_text(encoding="utf-8"))["python"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
