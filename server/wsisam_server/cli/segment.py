"""`wsisam segment`: outlines on one slide, by a server or in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import Progress

from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.cli.annotation_files import areas_in
from wsisam_server.cli.answering import model_here, refusals, slide_there
from wsisam_server.cli.connection import ConnectionOptions, connection_options
from wsisam_server.cli.model import model_of_server, model_options
from wsisam_server.cli.numbers import Number
from wsisam_server.cli.outputs import OutputFile
from wsisam_server.cli.overlay import draw_on
from wsisam_server.cli.pixel_size import pixel_size_option, say_pixel_size
from wsisam_server.cli.prompts import BoxType, Numbers, PointType, PromptOutline, describe, prompts
from wsisam_server.client import areas
from wsisam_server.core.answers import CELLS
from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.core.files import write_whole
from wsisam_server.core.requests import MAX_CANDIDATES, Request
from wsisam_server.core.shapes import collection
from wsisam_server.wire import from_proto, to_proto

if TYPE_CHECKING:
    from collections.abc import Iterator

    import shapely

console = Console(stderr=True)


@click.command("segment")
@click.argument("slide", type=click.Path(path_type=Path))
@click.option("--box", "boxes", type=BoxType(), multiple=True, help="A box about one object; repeatable.")
@click.option(
    "--point",
    "points",
    type=PointType(),
    multiple=True,
    help="A point on the object, or with ',-' outside it. Repeatable; all are about one object.",
)
@click.option(
    "--shape",
    "shapes",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A file with rough outlines (GeoJSON, ASAP or ImageScope), each about one object. Repeatable.",
)
@click.option(
    "--candidates",
    type=click.IntRange(1, MAX_CANDIDATES),
    default=1,
    show_default=True,
    help="Up to this many outlines of a prompt that may mean several objects. All are written and drawn.",
)
@click.option("--server", metavar="HOST:PORT", help="Ask this server. Not given: the model runs in this process.")
@click.option("--geojson", type=OutputFile(), help="Write the outlines here, for QuPath.")
@click.option(
    "--overlay",
    type=OutputFile(),
    help="Draw them on the slide, which must be readable here (PNG).",
)
@click.option(
    "--downsample",
    type=float,
    help="Working scale, level-0 pixels per model pixel. Not given: by size.",
)
@click.option("--tolerance", type=Number(0, 1000), help="Simplification in microns (pixels without a pixel size).")
@click.option(
    "--min-area",
    type=Number(0, 1e12),
    help="Remove parts and holes below this area, square microns (pixels). Not given: 4 mask cells. 0 keeps all.",
)
@click.option(
    "--all-parts", is_flag=True, help="Keep parts of an outline without a point in them, and stray parts of a box's."
)
@click.option(
    "--fill-holes", type=Number(0), help="Fill holes below this area, in square microns. Not given: as --min-area."
)
@click.option(
    "--smoothing", type=Number(0), default=0.0, show_default=True, help="Even out the border's details, in microns."
)
@click.option(
    "--honour/--as-drawn",
    default=True,
    show_default=True,
    help="Move the border where the model's mask contradicts a point, or leave it.",
)
@click.option(
    "--refine",
    type=Number(0, min_open=True),
    help="Refine borders in finer windows, to this many level-0 pixels per mask cell. Slow.",
)
@click.option(
    "--refine-windows",
    type=click.IntRange(1),
    help="Most windows for one border, each about a second. Not given: 64.",
)
@pixel_size_option("--mpp")
@connection_options
@model_options
def command(
    *,
    slide: Path,
    boxes: tuple[Numbers, ...],
    points: tuple[Numbers, ...],
    shapes: tuple[Path, ...],
    candidates: int,
    server: str | None,
    geojson: Path | None,
    overlay: Path | None,
    downsample: float | None,
    tolerance: float | None,
    min_area: float | None,
    all_parts: bool,
    fill_holes: float | None,
    smoothing: float,
    honour: bool,
    refine: float | None,
    refine_windows: int | None,
    slide_mpp: float | None,
    connection: ConnectionOptions,
    **model: Any,
) -> None:
    """Outline objects on one slide. Coordinates are level-0 pixels.

    Example: wsisam segment slide.svs --box 1180,1960,1370,2190 --overlay out.png
    """
    if refine_windows is not None and refine is None:
        raise click.UsageError("--refine-windows goes with --refine")
    drawn = [(str(path), areas(area)) for path in shapes for area in _shapes(path, slide)]
    wanted = prompts(boxes, points, [shape for _, shape in drawn])
    files = [name for name, _ in drawn] if drawn else [""] * len(wanted)
    items = [
        pb.BatchItem(
            id=str(number),
            prompt=prompt,
            field=pb.FieldChoice(downsample=downsample) if downsample is not None else None,
            refine=pb.Refinement(downsample=refine, max_windows=refine_windows) if refine is not None else None,
        )
        for number, prompt in enumerate(wanted)
    ]
    options = pb.OutlineOptions(
        tolerance=tolerance,
        min_area=min_area,
        parts=pb.PARTS_POLICY_ALL if all_parts else pb.PARTS_POLICY_PROMPTED,
        fill_holes_below=fill_holes,
        smoothing=smoothing,
        honour_points=honour,
        max_candidates=candidates,
    )
    request = pb.SegmentBatchRequest(items=items, options=options, mpp=slide_mpp)
    answers = _by_server(server, slide, request, model, connection) if server else _here(slide, request, model)
    outlines, errors = _collect(answers, len(items), server)
    results = [PromptOutline(wanted[number], outlines[number], files[number]) for number in sorted(outlines)]
    for result in results:
        click.echo(_line(result))
        for one, shape in result.others:
            parts = f"{len(shape.geoms)} part(s), area {shape.area:.0f} px, score {one.score:.2f}"
            click.echo(f"  candidate {one.number}: {parts}")
    if results:
        say_pixel_size(results[0].outline.pixel_size)
    _write(slide, results, geojson, overlay)
    if errors:
        if results:
            click.echo(f"{len(results)} of {len(wanted)} prompts were answered", err=True)
        raise click.ClickException(
            "\n".join(f"{describe(wanted[number], files[number])}: {text}" for number, text in sorted(errors.items()))
        )


Answer = tuple[int, "pb.Outline | str"]


def _collect(answers: Iterator[Answer], count: int, server: str | None) -> tuple[dict[int, pb.Outline], dict[int, str]]:
    """All outlines and all errors, by the number of their prompt."""
    outlines: dict[int, pb.Outline] = {}
    errors: dict[int, str] = {}
    with refusals(server), Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("outlining", total=count)
        for number, answer in answers:
            if isinstance(answer, str):
                errors[number] = answer
            else:
                outlines[number] = answer
            bar.advance(task)
    return outlines, errors


def _write(slide: Path, results: list[PromptOutline], geojson: Path | None, overlay: Path | None) -> None:
    """Writes also that nothing was found: an earlier run's file would be taken for this one's."""
    if not results:
        return  # nothing was answered, which the command says by its status
    found = [result for result in results if not result.geometry.is_empty]
    if geojson is not None:
        features = []
        for number, result in enumerate(found, 1):
            features += [result.feature(f"WSI-SAM {number}"), *result.candidate_features(f"WSI-SAM {number}")]
        write_whole(geojson, json.dumps(collection(features)).encode())
    if overlay is not None:
        draw_on(slide, results, overlay)


def _shapes(path: Path, slide: Path) -> list[shapely.MultiPolygon]:
    """The rough outlines in a file, one for each object."""
    found = areas_in(path, slide)
    if not found:
        raise click.ClickException(f"{path}: it holds no area that could be a rough outline")
    return found


def _by_server(
    server: str, slide: Path, request: pb.SegmentBatchRequest, model: dict[str, Any], connection: ConnectionOptions
) -> Iterator[Answer]:
    named = model_of_server(model)
    with connection.connect(server) as client:
        request.slide_id = slide_there(client, slide)
        request.model = named
        for answer in client.segment_batch(request):
            yield int(answer.id), answer.error.text if answer.outline is None and answer.error else answer.outline  # type: ignore[misc]


def _here(slide: Path, request: pb.SegmentBatchRequest, model: dict[str, Any]) -> Iterator[Answer]:
    options, mpp = from_proto.options(request.options, "options"), from_proto.pixel_size(request, "")
    with model_here(slide, model) as here:
        for number, item in enumerate(request.items):
            try:
                wanted = Request(
                    slide_id=here.slide_id,
                    prompt=from_proto.prompt(item.prompt, "prompt"),
                    choice=from_proto.field_choice(item.field, "downsample"),
                    options=options,
                    refinement=from_proto.refinement(item.refine, "refine") if item.HasField("refine") else None,
                    mpp=mpp,
                )
                yield number, to_proto.outline(here.wait(here.segmenter.segment(wanted)))
            except WsiSamServerError as error:
                yield number, error.public_text


def _line(result: PromptOutline) -> str:
    shape, outline = result.geometry, result.outline
    if shape.is_empty:
        return f"{result.text}: nothing found"
    holes = sum(len(part.interiors) for part in shape.geoms)
    cut = "; cut by the field, try a larger --downsample" if outline.cut_by_field else ""
    ignored = [str(number + 1) for number in outline.unhonoured_points]
    ignored_points = f"; contradicts point {', '.join(ignored)}" if ignored else ""
    return (
        f"{result.text}: {len(shape.geoms)} part(s), {holes} hole(s), area {shape.area:.0f} px, "
        f"score {outline.score:.2f}, downsample {outline.field.high.downsample:.3g}{_refined(outline)}{cut}"
        f"{ignored_points}"
    )


def _refined(outline: pb.Outline) -> str:
    """The finest mask of a border, and whether it is as fine as asked for."""
    finer = ""
    if levels := outline.levels[1:]:
        cell = levels[-1].downsample * outline.field.high.size / CELLS
        finer = f", border at {cell:.3g} in {sum(level.windows for level in levels)} window(s)"
    return finer + ("; finer needs more --refine-windows" if outline.truncated else "")
