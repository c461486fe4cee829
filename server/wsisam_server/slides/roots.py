"""The folders of slides as they are found at the start. A drive that hangs must not keep the server from starting."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Root(NamedTuple):
    """What a root is: its real path, free of links, and whether a folder lies there."""

    real: Path
    is_folder: bool


def look_at(roots: Iterable[Path], seconds: float) -> dict[Path, Root]:
    """Asks for all roots at once, each on a thread of its own. A thread that gets no answer is left to itself.

    Args:
        roots: absolute paths.
        seconds: that they have together.

    Returns:
        What is known of the roots that answered in time.
    """
    found: dict[Path, Root] = {}

    def look(root: Path) -> None:
        found[root] = Root(Path(os.path.realpath(root)), root.is_dir())

    wanted = list(roots)
    threads = [threading.Thread(target=look, args=(root,), name="wsisam-root", daemon=True) for root in wanted]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    # Not `found` itself: a thread that is late may yet add to it.
    return {root: found[root] for root in wanted if root in found}
