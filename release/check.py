"""What dist/ does in empty environments, without a checkout, git, a JDK or Maven: `make release-check`.

    python release/check.py dist [--qupath FOLDER] [--keep FOLDER]

Each environment finds its own programs only. A step that fails ends the check with what was printed. With --keep, the
environments are made in a folder that stays, and the next check renews only the package in them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import venv
from pathlib import Path

from assemble import SUMS, sums
from typing_extensions import Self

MOST_MEBIBYTES = 300
"""Of the base install, with what it needs; docs promise it."""

PASSED = re.compile(r"PIP_.*|.*_(PROXY|proxy)|SSL_CERT_.*|REQUESTS_CA_BUNDLE|LANG|LC_.*|TMPDIR")
"""Variables of the caller that an environment gets: how packages are fetched from an index."""

PICTURE = """
from PIL import Image, ImageDraw
import sys
image = Image.new("RGB", (900, 700), (243, 240, 243))
draw = ImageDraw.Draw(image)
for x, y, r in ((200, 200, 60), (600, 250, 90), (350, 520, 45)):
    draw.ellipse((x - r, y - r, x + r, y + r), (150, 70, 140), (110, 40, 100), 4)
image.save(sys.argv[1])
"""
BOX = "134,134,266,266"

DRAWN = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [[[x, 500], [x + 30, 500], [x + 30, 540], [x, 500]]]},
            "properties": {"objectType": "annotation", "classification": {"name": "Stroma"}},
        }
        for x in range(0, 500, 50)
    ],
}

MAKE_PROJECT = """
import qupath.lib.images.servers.ImageServerProvider
import qupath.lib.projects.Projects
import java.awt.image.BufferedImage
def project = Projects.createProject(new File(args[0]), BufferedImage)
def builder = ImageServerProvider.getPreferredUriImageSupport(BufferedImage, args[1]).getBuilders()[0]
def entry = project.addImage(builder)
entry.setImageName(new File(args[1]).getName())
def data = entry.readImageData()
data.setImageType(qupath.lib.images.ImageData.ImageType.BRIGHTFIELD_H_E)
entry.saveImageData(data)
project.syncChanges()
"""


class Environment:
    """A virtual environment with a home of its own, in which commands are counted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_new = not folder.exists()
        if self.is_new:
            venv.create(folder, with_pip=True)
        self.commands = 1
        self.programs = folder / ("Scripts" if os.name == "nt" else "bin")

    def variables(self) -> dict[str, str]:
        """Of its programs: no other program is found."""
        passed = {name: value for name, value in os.environ.items() if PASSED.fullmatch(name)}
        return passed | {"PATH": str(self.programs), "HOME": str(self.folder / "home"), "WSISAM_STORE": "none"}

    def run(self, *words: object, status: int = 0, counted: bool = True, **more: str) -> str:
        """Runs a program of the environment; what it printed.

        Raises:
            SystemExit: it ended otherwise than with `status`.
        """
        self.commands += counted
        command = [str(self.programs / str(words[0])), *map(str, words[1:])]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.variables() | more,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode != status:
            sys.exit(f"{done.stdout}\nfailed with {done.returncode}: {shlex.join(command)}")
        return done.stdout

    def install(self, package: Path, extras: str = "") -> None:
        """Installs a file of the release; in an environment that was kept, renews it."""
        self.run("pip", "install", "--quiet", f"{package}{extras}")
        if not self.is_new:
            self.run("pip", "install", "--quiet", "--force-reinstall", "--no-deps", package, counted=False)

    def mebibytes(self) -> float:
        """Of all its files."""
        return sum(path.lstat().st_size for path in self.folder.rglob("*") if path.is_file()) / 2**20


class Server:
    """`wsisam serve` of an environment, while the block runs."""

    def __init__(self, environment: Environment, *words: object) -> None:
        command = [environment.programs / "wsisam", "serve", "--port", 0, *words]
        environment.commands += 1
        self._process = subprocess.Popen(
            [*map(str, command)],
            env=environment.variables(),
            stderr=subprocess.STDOUT,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.target = ""

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        said = []
        for line in self._process.stdout:
            said.append(line)
            if found := re.search(r"^wsisam: serving .* on (\S+:\d+)", line):
                self.target = found[1].rstrip(",.")
                threading.Thread(target=self._process.stdout.read, daemon=True).start()
                return self
        sys.exit(f"{''.join(said)}\nthe server ended")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=60)


def main() -> None:
    """Runs all steps."""
    parser = argparse.ArgumentParser(description="Try the files of a release in empty environments.")
    parser.add_argument("dist", type=Path)
    parser.add_argument("--qupath", type=Path, help="QuPath's folder, for the sync; left out without it")
    parser.add_argument("--keep", type=Path, help="a folder for the environments, which stays")
    options = parser.parse_args()
    (wheel,) = options.dist.resolve().glob("wsisam-*.whl")
    with tempfile.TemporaryDirectory(prefix="wsisam-check-") as scratch:
        work, place = Path(scratch), options.keep or Path(scratch) / "environments"
        place.mkdir(parents=True, exist_ok=True)
        _sums(options.dist)
        client = _client(Environment(place.resolve() / "client"), wheel, work)
        _outline(Environment(place.resolve() / "server"), client, wheel, work)
        _source(Environment(work / "source"), wheel)
        _container(Environment(work / "container"), wheel, work)
        if options.qupath is None:
            print("left out: sync with paquo, since no QuPath was named (--qupath)")
        else:
            _sync(Environment(place.resolve() / "sync"), wheel, work, options.qupath.resolve())


def _sums(dist: Path) -> None:
    if (dist / SUMS).read_text() != sums(dist):
        sys.exit(f"{dist}/{SUMS} does not say what is there")
    print("SHA256SUMS: all files are as they were built")


def _client(client: Environment, wheel: Path, work: Path) -> Environment:
    client.install(wheel)
    size = client.mebibytes()
    if size > MOST_MEBIBYTES:
        sys.exit(f"the base install takes {size:.0f} MiB, more than {MOST_MEBIBYTES}")
    client.run("wsisam", "--help", counted=False)
    said = client.run("wsisam", "qupath", "install", "--qupath-user-dir", _made(work / "qupath-user"))
    assert "WsiSamClicks" in said, said
    print(f"client only: {size:.0f} MiB with Python's own 20, QuPath set up; {client.commands} commands")
    return client


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _outline(server: Environment, client: Environment, wheel: Path, work: Path) -> None:
    started = time.monotonic()
    server.install(wheel, "[server]")
    installed = time.monotonic() - started
    slides = _made(work / "slides")
    client.run("python", "-c", PICTURE, slides / "discs.png", counted=False)
    with Server(server, "--slides", slides) as running:
        words = ("segment", slides / "discs.png", "--box", BOX, "--server", running.target)
        client.run("wsisam", *words, "--geojson", work / "first.geojson")
    (outline,) = json.loads((work / "first.geojson").read_text())["features"]
    assert outline["geometry"]["type"] == "Polygon", outline
    took = time.monotonic() - started
    print(f"server up, first outline: {server.commands + 1} commands, {took:.0f} s, {installed:.0f} of them to install")


def _source(environment: Environment, wheel: Path) -> None:
    """The source archive builds without Java, and holds the jar."""
    (archive,) = wheel.parent.glob("wsisam-[0-9]*.tar.gz")
    environment.run("pip", "install", "--quiet", "--no-deps", archive)
    jars = [*environment.folder.rglob("wsisam-qupath-client-*.jar")]
    assert len(jars) == 1, jars
    print(f"source archive: installs without Java, with {jars[0].name}")


def _container(environment: Environment, wheel: Path, work: Path) -> None:
    """The container's context has all that its Containerfile installs. No image is built here."""
    (context,) = wheel.parent.glob("wsisam-container-*.tar.gz")
    with tarfile.open(context) as archive:
        archive.extractall(work / "context", filter="data")
    (folder,) = (work / "context").iterdir()
    text = (folder / "Containerfile").read_text()
    copied = [word for line in text.splitlines() if line.startswith("COPY ") and "--from" not in line
              for word in line.split()[1:-1]]  # fmt: skip
    missing = [name for name in copied if not (folder / name).exists()]
    assert not missing, missing
    environment.run("pip", "install", "--quiet", "--no-deps", folder)
    print(f"container context: {len(copied)} things to copy are there, and the package installs from them")


def _sync(environment: Environment, wheel: Path, work: Path, qupath: Path) -> None:
    environment.install(wheel, "[sync]")
    slide, store = work / "slides" / "discs.png", work / "annotations.sqlite"
    (work / "drawn.geojson").write_text(json.dumps(DRAWN))
    (work / "project.groovy").write_text(MAKE_PROJECT)
    words = [work / "project.groovy", "--args", _made(work / "Colon"), "--args", slide]
    subprocess.run([qupath / "bin" / "QuPath", "script", *words], check=True, stdout=subprocess.DEVNULL)
    environment.run("wsisam", "import", work / "drawn.geojson", "--slide", slide, "--store", store)
    java = {"PAQUO_QUPATH_DIR": str(qupath)}
    sync = ("wsisam", "sync", work / "Colon" / "project.qpproj", "--store", store)
    first = environment.run(*sync, **java)
    assert "10 new" in first, first
    second = environment.run(*sync, counted=False, **java)
    assert "in sync" in second, second
    assert "new" not in second.replace("nothing new", ""), second
    print(f"sync with paquo and {qupath.name}: 10 annotations, then nothing new; {environment.commands} commands")


if __name__ == "__main__":
    main()
