"""Outlines all that is roughly drawn on the slides of a folder.

    python batch_folder.py 127.0.0.1:8765 /data/slides

For each slide `case-7.svs` with a `case-7.geojson` beside it (rectangles or rough shapes, as QuPath exports them) it
writes `case-7.outlines.geojson`, to be dragged onto the slide in QuPath. The server must see the folder under the same
path. What was written is not asked again: a run that was stopped goes on.
"""

import json
import sys
from pathlib import Path

from shapely.geometry import shape

from wsisam_server.client import Client, ServerError, prompt

SLIDES = {".svs", ".ndpi", ".mrxs", ".scn", ".tif", ".tiff", ".dcm", ".png"}


def main(target: str, folder: Path) -> int:
    """Outlines a folder; the number of objects that could not be outlined."""
    failed = 0
    with Client(target) as client:
        for path in sorted(one for one in folder.iterdir() if one.suffix.lower() in SLIDES):
            drawn, out = path.with_suffix(".geojson"), path.with_suffix(".outlines.geojson")
            if drawn.is_file() and not out.exists():
                failed += outline(client, path, drawn, out)
    return failed


def outline(client: Client, path: Path, drawn: Path, out: Path) -> int:
    """Outlines one slide."""
    objects = json.loads(drawn.read_text(encoding="utf-8"))["features"]
    # A box asks for what fills it. `prompt(shape=...)` follows a rough outline instead.
    prompts = [prompt(shape(one["geometry"])) for one in objects]
    features, failed = {}, 0
    with client.open_slide(str(path)) as slide:
        for number, answer in slide.segment_batch(prompts):
            if isinstance(answer, ServerError) or answer.geometry.is_empty:
                problem = answer.text if isinstance(answer, ServerError) else "nothing was found there"
                print(f"{path.name}, object {number + 1}: {problem}", file=sys.stderr)
                failed += 1
                continue
            path_class = objects[number]["properties"].get("classification")  # a name, or a name and a colour
            path_class = path_class["name"] if isinstance(path_class, dict) else path_class
            features[number] = answer.to_geojson(path_class=path_class)
    part = out.with_suffix(".part")  # a file that is there is a whole one
    part.write_text(json.dumps({"type": "FeatureCollection", "features": [features[one] for one in sorted(features)]}))
    part.replace(out)
    print(f"{out}: {len(features)} of {len(objects)} outlines")
    return failed


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1], Path(sys.argv[2])), 1))
