"""Makes the pictures of the tutorials anew.

    PAQUO_QUPATH_DIR=QUPATH PYTHONPATH=tests python docs/site/pictures.py SLIDE

SLIDE is CMU-1-Small-Region.svs (OpenSlide's test data, CC0; `make demo` leaves it in demo/). It needs what the tests in
tests/in_qupath need: a QuPath, the client's jar (`make jar`), and Xvfb where there is no screen. A real QuPath is
driven by tour.groovy against a server with tokens and a store. What a script stores then becomes a data set, and its
contact sheet a picture. Look at each picture afterwards: nobody else does.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from click.testing import CliRunner
from PIL import Image

from support.qupath_program import qupath_or_skip
from support.server import start
from wsisam_model import WsiSam
from wsisam_server.cli import main as wsisam
from wsisam_server.client import Client, commit, prompt
from wsisam_server.service.identity import Role, TokenFile

IMAGES = Path(__file__).resolve().parents[1] / "images"
MOST_BYTES = 200_000
WIDTH = 1200
BOXES = [(1180, 1960, 1365, 2190), (1480, 1960, 1665, 2190), (1590, 2660, 1705, 2840)]
"""Structures of the slide that `wsisam demo` outlines, too."""


def saved(image: Image.Image, name: str) -> None:
    """Writes a picture of the docs, small enough for a page."""
    image = image.convert("RGB")
    image.thumbnail((WIDTH, 10_000))
    path = IMAGES / f"{name}.jpg"
    for quality in (85, 75, 65, 55):
        image.save(path, quality=quality, optimize=True)
        if path.stat().st_size < MOST_BYTES:
            break
    print(path, image.size, path.stat().st_size)


def command(*words: object) -> None:
    """Runs a command of ours.

    Raises:
        SystemExit: it failed.
    """
    done = CliRunner().invoke(wsisam, [str(word) for word in words])
    if done.exit_code:
        raise SystemExit(f"wsisam {' '.join(map(str, words))}\n{done.output}")


def tour(slide: Path, folder: Path) -> None:
    """The pictures of QuPath."""
    qupath = qupath_or_skip(folder)
    (folder / "Skin").mkdir()
    tokens = TokenFile(folder / "tokens.json")
    tokens.create("root", Role.ADMIN, frozenset({"*"}), None)
    running, stop = start(
        WsiSam.from_name("wsisam-lite"),
        slide.parent,
        tokens=tokens.path,
        require_tokens=True,
        store=str(folder / "annotations.sqlite"),
    )
    invitation = folder / "anna.wsisam"
    try:
        address = ("--server", running.target, "--tokens", tokens.path)
        command("token", "create", "anna", "--project", "*", "--invite", invitation, *address)
        os.environ["WSISAM_PICTURES"] = str(folder)
        qupath.drive(
            Path(__file__).with_name("tour.groovy"),
            folder / "seen.json",
            **{"drive.image": slide, "drive.invitation": invitation, "drive.project": folder / "Skin"},
        )
    finally:
        stop()
    for name in ("tour-invited", "tour-outline", "tour-clicks", "tour-kept", "tour-synced"):
        screen = Image.open(folder / f"{name}.png").convert("RGB")
        saved(screen.crop(screen.getbbox()), name)  # the rest of the screen is black


def sheet(slide: Path, folder: Path) -> None:
    """The contact sheet of a data set that is scripted, as docs/tutorials/own-model.md has it."""
    store = folder / "scripted.sqlite"
    running, stop = start(WsiSam.from_name("wsisam-lite"), slide.parent, store=str(store))
    try:
        with Client(running.target) as client:
            opened = client.open_slide(str(slide))
            commits = [commit(author="anna", path_class="Hair follicle") for _ in BOXES]
            list(opened.segment_batch([prompt(box) for box in BOXES], commits=commits))
    finally:
        stop()
    command("dataset", store, folder / "glands", "--class", "Hair follicle", "--slides", slide.parent)
    command("evaluate", folder / "glands" / "manifest.csv", "--sheet", folder / "sheet.png")
    saved(Image.open(folder / "sheet.png"), "tour-sheet")


def main() -> None:
    """Makes all of them."""
    folder = Path(tempfile.mkdtemp(prefix="lab-"))
    folder.chmod(0o755)
    slides = folder / "slides"
    slides.mkdir()
    slide = Path(shutil.copy(sys.argv[1], slides))
    tour(slide, folder)
    sheet(slide, folder)
    demo = IMAGES / "demo.jpg"
    if demo.stat().st_size > MOST_BYTES:
        saved(Image.open(demo), "demo")


if __name__ == "__main__":
    main()
