"""Where named models lie unless somebody says otherwise."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from wsisam_server.core.settings import default_weights_dir

VARIABLE: Final = "WSISAM_WEIGHTS_DIR"


def default_folder() -> Path:
    """The folder in $WSISAM_WEIGHTS_DIR, or else in the user's folder for application data, as the platform has it."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else default_weights_dir()
