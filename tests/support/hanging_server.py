"""`wsisam serve` whose file systems hang below one folder for as long as a file is there.

python -m support.hanging_server FOLDER FLAG ARGUMENT...        (in tests/; arguments of `wsisam serve`)
"""

import os
import shutil
import sys
from pathlib import Path

from support.dark_parts import DarkParts
from support.waiting import until
from wsisam_server.cli import main, serve
from wsisam_server.slides import openslide_source

STAT = os.stat


def hang(folder, flag):
    """Has all that asks a file system about a path below the folder wait until the flag is gone."""

    def wait(path):
        if isinstance(path, str | Path) and str(path).startswith(folder):
            until(lambda: not _is_there(flag), 600, pause=0.05)

    def waiting(real):
        def call(path, *arguments, **more):
            wait(path)
            return real(path, *arguments, **more)

        return call

    for name in ("stat", "lstat", "open", "scandir"):
        setattr(os, name, waiting(getattr(os, name)))
    shutil.disk_usage = waiting(shutil.disk_usage)
    Path.resolve = waiting(Path.resolve)
    real = openslide_source.OpenSlideSource.read

    def read(self, window):
        wait(self._file.path)
        return real(self, window)

    openslide_source.OpenSlideSource.read = read


def _is_there(path):
    try:
        STAT(path)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    serve.load_model = lambda **_: DarkParts()
    hang(*sys.argv[1:3])
    main(["serve", *sys.argv[3:]])
