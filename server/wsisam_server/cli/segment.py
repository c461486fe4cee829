"""`wsisam segment`: outlines on one slide, by a server or in this process."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.cli.annotation_files import areas_in
from wsisam_server.cli.answering import model_here, refusals, slide_there
from wsisam_server.cli.answers_json import answers_json
from wsisam_server.cli.commit import CommitOptions, commit_options
from wsisam_server.cli.connection import ConnectionOptions, connection_options
from wsisam_server.cli.interruption import StoppedError
from wsisam_server.cli.model import model_of_server, model_options
from wsisam_server.cli.numbers import Number
from wsisam_server.cli.outputs import PICTURES, OutputFile, write_json
from wsisam_server.cli.overlay import draw_on
from wsisam_server.cli.pixel_size import pixel_size_option, say_pixel_size
from wsisam_server.cli.progress import counted
from wsisam_server.cli.prompts import BoxType, Numbers, PointType, PromptOutline, describe, prompts
from wsisam_server.client import areas
from wsisam_server.core.answers import CELLS
from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.core.requests import MAX_CANDIDATES, Request
from wsisam_server.core.shapes import collection
from wsisam_server.wire import from_proto, to_proto

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
@click.option(
    "--geojson", type=OutputFile(text=True), help="Write the outlines here, for QuPath. '-': to standard output."
)
@click.option("--json", "json_path", type=OutputFile(text=True), help="Write all that was answered here, for scripts.")
@click.option(
    "--overlay",
    type=OutputFile(endings=PICTURES),
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
@commit_options
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
    json_path: Path | None,
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
    commit: CommitOptions,
    connection: ConnectionOptions,
    **model: Any,
) -> None:
    """Outline objects on one slide. Coordinates are level-0 pixels.

    Example: wsisam segment slide.svs --box 1180,1960,1370,2190 --overlay out.png

    Example: wsisam segment slide.svs --box 1180,1960,1370,2190 --geojson - --server gpu.lab:8765 --commit --class Gland
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
    with commit.begun(slide, request, server) as ids:
        answers = (
            _by_server(server, slide, request, model, connection) if server else _here(slide, request, model, commit)
        )

        def result(number: int, outline: pb.Outline) -> PromptOutline:
            return PromptOutline(wanted[number], outline, files[number], ids[number])

        found = _collect(answers, len(items), server, result)
    results = [found.outlines[number] for number in sorted(found.outlines)]
    if results:
        say_pixel_size(results[0].outline.pixel_size)
    commit.say(results, server)
    problems = {number: f"{describe(wanted[number], files[number])}: {text}" for number, text in found.errors.items()}
    _write(slide, results, geojson, overlay, commit.path_class)
    if json_path is not None:
        write_json(json_path, answers_json(slide, results, [problems[number] for number in sorted(problems)]), indent=1)
    _end(len(results), len(wanted), [problems[number] for number in sorted(problems)], stopped=found.stopped)


def _end(done: int, wanted: int, problems: list[str], *, stopped: bool) -> None:
    """Says what is missing, by the exit status too."""
    if stopped:
        raise StoppedError(
            f"{done} of {wanted} prompts were answered, and these are listed and written. Ask again for the others"
        )
    if problems:
        if done:
            click.echo(f"{done} of {wanted} prompts were answered", err=True)
        raise click.ClickException("\n".join(problems))


Answer = tuple[int, "pb.Outline | str"]


@dataclass
class _Found:
    """All that was answered, by the number of its prompt.

    Attributes:
        outlines: the answers.
        errors: why others were not answered.
        stopped: whether Ctrl+C came before all were.
    """

    outlines: dict[int, PromptOutline] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    stopped: bool = False


def _collect(
    answers: Iterator[Answer], count: int, server: str | None, result: Callable[[int, pb.Outline], PromptOutline]
) -> _Found:
    """All answers, each said as it comes; Ctrl+C ends the work and keeps those that came."""
    found = _Found()
    try:
        with refusals(server), counted(console, "prompts") as tell, contextlib.closing(answers):  # type: ignore[type-var]
            tell(0, count)
            for number, answer in answers:
                if isinstance(answer, str):
                    found.errors[number] = answer
                else:
                    found.outlines[number] = result(number, answer)
                    _say(found.outlines[number])
                tell(len(found.outlines) + len(found.errors), count)
    except KeyboardInterrupt:
        found.stopped = True
    return found


def _write(
    slide: Path, results: list[PromptOutline], geojson: Path | None, overlay: Path | None, path_class: str | None
) -> None:
    """Writes also that nothing was found: an earlier run's file would be taken for this one's."""
    if not results:
        return  # nothing was answered, which the command says by its status
    found = [result for result in results if not result.is_empty]
    if geojson is not None:
        features = []
        for number, result in enumerate(found, 1):
            name = f"WSI-SAM {number}"
            features += [result.named_feature(name, path_class), *result.candidate_features(name, path_class)]
        write_json(geojson, collection(features))
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


def _here(
    slide: Path, request: pb.SegmentBatchRequest, model: dict[str, Any], commit: CommitOptions
) -> Iterator[Answer]:
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
                outline = to_proto.outline(here.wait(here.segmenter.segment(wanted)))
                commit.keep(item, outline, here.segmenter.slide_info(here.slide_id))
                yield number, outline
            except WsiSamServerError as error:
                yield number, error.public_text


def _say(result: PromptOutline) -> None:
    click.echo(_line(result))
    for one, shape in result.others:
        parts = f"{len(shape.geoms)} part(s), area {shape.area:.0f} px, score {one.score:.2f}"
        click.echo(f"  candidate {one.number}: {parts}")


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
