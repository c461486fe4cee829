"""Asks a QuPath for its user directory. It makes one, and notes it in its own preferences, where it has none."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from wsisam_server.qupath.directories import UserDirectory, given_user_directory
from wsisam_server.qupath.errors import QuPathFilesError

LAUNCHERS = ("bin/QuPath", "Contents/MacOS/QuPath*", "QuPath*(console).exe", "QuPath*.exe")
"""Below the folder of an installed QuPath, or of QuPath.app: the program on Linux, macOS, Windows."""

SECONDS = 300.0
"""A first start unpacks things, and a virus scanner looks at them."""

_SCRIPT = """
def said = new File(args[0])
def property = qupath.lib.gui.prefs.PathPrefs.userPathProperty()
def known = property.get()
if (!known || !new File(known).isDirectory()) {
    def folder = qupath.lib.gui.prefs.PathPrefs.getDefaultQuPathUserDirectory().toFile()
    folder.mkdirs()
    property.set(folder.getPath())
}
said.setText(property.get(), 'UTF-8')
"""


def user_directory_of(program: Path, seconds: float = SECONDS) -> UserDirectory:
    """The user directory of a QuPath; made, and noted there, where it has none. Close its window before.

    Args:
        program: QuPath's program, or the folder that holds it.
        seconds: how long it may take.

    Raises:
        QuPathFilesError: it is no QuPath, or it does not run.
    """
    with tempfile.TemporaryDirectory() as name:
        script, said = Path(name, "user_directory.groovy"), Path(name, "said.txt")
        script.write_text(_SCRIPT, encoding="utf-8")
        command = [str(_launcher(program)), "script", "--args", str(said), str(script)]
        try:
            done = subprocess.run(command, check=False, capture_output=True, timeout=seconds)  # noqa: S603 - the user names it
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _failed(program, str(error)) from error
        if not said.is_file():
            raise _failed(
                program, (done.stdout + done.stderr).decode(errors="replace").strip()[-300:] or "no word from it"
            )
        return given_user_directory(Path(said.read_text(encoding="utf-8")))


def _launcher(program: Path) -> Path:
    if program.is_file():
        return program
    for pattern in LAUNCHERS:
        for launcher in sorted(program.glob(pattern)):
            return launcher
    raise QuPathFilesError(f"there is no QuPath in {program}: name its program, or the folder that holds it.")


def _failed(program: Path, why: str) -> QuPathFilesError:
    return QuPathFilesError(f"{program} did not say which user directory it has: {why}")
