"""What it costs to turn a model's answer into polygons: `outline` and `encode`, in milliseconds a mask.

    python benchmarks/polygon_cost.py [--repeats 7]

Masks: four shapes from formulas, which everybody has, and public annotations of glands, tubules, tumour and nuclei
from ../shared/data (or $WSISAM_SHARED/data), where present: whole fields with all their objects, hence more parts and
vertices than the one object that a prompt asks for. Every mask has 256 x 256 logits. The claim: a median of at most
5 ms over the real masks.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import shapely
from claims import Claim, note
from PIL import Image, ImageFilter

from wsisam_server.core.geometry import SlideSize, Window
from wsisam_server.core.shapes import encode
from wsisam_server.segmentation.outlines import outline

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 256
CLAIM_MS = 5.0
SLIDE = SlideSize(100_000, 80_000)
WINDOW = Window(41_000.3, 23_000.7, 1.0, 1024)
SHARED = Path(os.environ.get("WSISAM_SHARED", Path(__file__).resolve().parents[2] / "shared"))
REAL = ("testis_tubules/masks", "bcss_regions/masks", "rings_prostate/masks", "ocdc_oral/masks", "nuinsseg/masks")
MASKS_PER_FOLDER = 40


def synthetic() -> dict[str, NDArray[np.float32]]:
    """Logits [256, 256] of a disc, an annulus, a lobed blob, and 16 x 16 discs."""
    y, x = (np.indices((SIDE, SIDE)) + 0.5) - SIDE / 2
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    return {
        "disc": (80 - radius).astype(np.float32),
        "annulus": (20 - np.abs(radius - 80)).astype(np.float32),
        "lobed": (80 + 12 * np.sin(7 * angle) + 5 * np.sin(23 * angle) - radius).astype(np.float32),
        "256 discs": (np.cos(x * np.pi / 8) + np.cos(y * np.pi / 8) - 0.5).astype(np.float32),
    }


def real() -> list[NDArray[np.float32]]:
    """Logits [256, 256] in -10..10 from binary masks; slightly blurred, as a decoder's upscaled answer is."""
    masks = []
    for folder in REAL:
        paths = sorted((SHARED / "data" / folder).glob("*.*"))
        for path in paths[:: max(1, len(paths) // MASKS_PER_FOLDER)]:
            with Image.open(path) as image:
                side = min(image.size)
                gray = Image.fromarray(np.asarray(image.convert("RGB")).max(axis=2)).crop((0, 0, side, side))
            binary = gray.point(lambda value: 255 * (value > 127))
            small = binary.resize((SIDE, SIDE), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(1))
            masks.append((np.asarray(small, np.float32) - 127.5) / 12.75)
    return masks


def cost_ms(logits: NDArray[np.float32], repeats: int) -> float:
    """Best time of one conversion over the repeats: what is above it is the work of other processes."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        encode(outline(logits, WINDOW, SLIDE).geometry)
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def report(name: str, masks: list[NDArray[np.float32]], repeats: int) -> float:
    """Prints one line of the table and returns the median in milliseconds."""
    costs = [cost_ms(logits, repeats) for logits in masks]
    geometries = [outline(logits, WINDOW, SLIDE).geometry for logits in masks]
    parts = np.median([len(geometry.geoms) for geometry in geometries])
    vertices = np.median(shapely.get_num_coordinates(geometries))
    median, p95 = np.percentile(costs, [50, 95])
    print(f"{name:<12}{len(masks):>5}{parts:>8.0f}{vertices:>10.0f}{median:>11.2f}{p95:>9.2f}")
    return float(median)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, help="conversions of each mask; the best counts")
    repeats = parser.parse_args().repeats
    print(f"{datetime.now(timezone.utc):%Y-%m-%d}, {platform.platform()}, {os.cpu_count()} x {_cpu()}, load {_load()}")
    print(", ".join(f"{name} {version(name)}" for name in ("numpy", "contourpy", "shapely")), end="")
    print(f", GEOS {shapely.geos_version_string}; {SIDE} x {SIDE} logits, best of {repeats}\n")
    print("masks           n   parts  vertices  median ms   p95 ms")
    shapes = synthetic()
    cost_ms(shapes["disc"], repeats=20)  # the first calls pay for lazy imports
    for name, logits in shapes.items():
        report(name, [logits], repeats)
    masks = real()
    if not masks:
        print(f"real masks: none, needs {SHARED / 'data'}")
        return
    median = report("real", masks, repeats)
    note([Claim(f"an outline's limit of {CLAIM_MS:g} ms to its median", CLAIM_MS / median, 1)])
    print(f"\nclaim, real masks, median <= {CLAIM_MS} ms: {'holds' if median <= CLAIM_MS else 'DOES NOT HOLD'}")


def _load() -> str:
    """Mean number of busy processes over the last minute: above the count of CPUs, the times are too high."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def _cpu() -> str:
    """The processor's name where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
