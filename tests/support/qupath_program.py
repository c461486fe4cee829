"""A real QuPath with the client installed as a user installs it, and preferences of its own."""

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from wsisam_server.qupath import QuPathFilesError, find_bundle, install

LAUNCHERS = ("bin/QuPath", "Contents/MacOS/QuPath", "QuPath*(console).exe")
SECONDS = 600
DRIVING = Path(__file__).resolve().parents[1] / "in_qupath" / "driving.groovy"
SCREEN = "1400x900x24"


@dataclass(frozen=True)
class QuPathProgram:
    """The program and the preferences that it is started with."""

    launcher: Path
    preferences: Path

    @property
    def ends_where_a_slide_is_away(self):
        """Whether its `script` command itself ends after an image whose slide is away, with --save: 0.6 does."""
        return any(self.launcher.parents[1].glob("lib/app/qupath-core-0.6*.jar"))

    def script(self, source, *arguments, project=None, image=None, save=False):
        """Runs a Groovy file without a window; its standard output. Fails with QuPath's log when the script failed."""
        command = [self.launcher, "script"]
        command += ["--project", project] if project else []
        command += ["--image", image] if image else []
        command += ["--save"] if save else []
        command += [word for argument in arguments for word in ("--args", argument)]
        done = subprocess.run(
            [*map(str, command), str(source)],
            check=False,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert " [ERROR] " not in done.stdout, done.stdout + done.stderr
        return done.stdout

    def drive(self, script, result, seconds=SECONDS, **properties):
        """Runs a drive in a window on a screen in memory, until it has written `result` and has ended QuPath.

        What it saw. A picture of the screen when it failed, and those that it takes, go to $WSISAM_PICTURES.
        """
        whole = result.with_name("whole_drive.groovy")
        whole.write_text(DRIVING.read_text() + script.read_text())
        options = {"qupath.startup.script": whole, "prism.order": "sw", "drive.result": result} | properties
        if pictures := os.environ.get("WSISAM_PICTURES"):
            options["drive.pictures"] = pictures
        with _screen() as display:
            environment = self.environment(**options) | {"DISPLAY": display}
            log = result.with_suffix(".log")
            with log.open("w") as output:
                process = subprocess.Popen([str(self.launcher), "-q"], env=environment, stdout=output, stderr=output)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
            finally:
                process.kill()
                process.wait()
        assert result.exists(), log.read_text()[-20_000:]
        seen = json.loads(result.read_text())
        assert "mistake" not in seen, seen
        return seen

    def environment(self, **properties):
        properties["java.util.prefs.userRoot"] = self.preferences
        words = [f'"-D{name}={value}"' for name, value in properties.items()]
        return os.environ | {"JAVA_TOOL_OPTIONS": " ".join(words)}


def qupath_or_skip(folder):
    """A QuPath in which our files are installed; skips the test where there is none."""
    home = os.environ.get("PAQUO_QUPATH_DIR")
    if not home:
        pytest.skip("needs a QuPath: PAQUO_QUPATH_DIR names none")
    launchers = [launcher for pattern in LAUNCHERS for launcher in sorted(Path(home).glob(pattern))]
    if not launchers:
        pytest.skip(f"needs a QuPath: there is no program in {home} (PAQUO_QUPATH_DIR)")
    try:
        bundle = find_bundle()
    except QuPathFilesError as error:
        pytest.skip(f"needs the client jar: {error}")
    program = QuPathProgram(launchers[0], folder / "preferences")
    user = folder / "user"
    user.mkdir()
    install(bundle, user)
    # The only way to name the folder before the window has asked for it; QuPath reads it when it starts.
    setting = folder / "setting.groovy"
    setting.write_text(f"qupath.lib.gui.prefs.PathPrefs.userPathProperty().set('{user.as_posix()}')\n")
    program.script(setting)
    return program


@contextmanager
def _screen():
    """A screen in memory, or the one that there is where windows need none."""
    if os.name == "nt" or shutil.which("Xvfb") is None:
        if not os.environ.get("DISPLAY") and os.name != "nt":
            pytest.skip("needs a screen: no DISPLAY and no Xvfb")
        yield os.environ.get("DISPLAY", "")
        return
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", SCREEN, "-nolisten", "tcp"]
    process = subprocess.Popen(command, pass_fds=(write,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as number:
            yield f":{number.readline().strip()}"
    finally:
        process.terminate()
        process.wait()
