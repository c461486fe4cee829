"""`wsisam everything`: proposals for all objects of some size in a region, by a server or in this process."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import shapely
from rich.console import Console

from wsisam.v1 import geometry_pb2 as geo
from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.annotations.store import class_name as one_name
from wsisam_server.cli.annotation_files import areas_in, exemplars_in
from wsisam_server.cli.answering import model_here, refusals, slide_there
from wsisam_server.cli.connection import ConnectionOptions, connection_options
from wsisam_server.cli.damaged_windows import warn_of_damage
from wsisam_server.cli.extras import need
from wsisam_server.cli.interruption import StoppedError
from wsisam_server.cli.model import model_of_server, model_options
from wsisam_server.cli.numbers import Number
from wsisam_server.cli.outputs import PICTURES, OutputFile, write_json
from wsisam_server.cli.overlay import draw_on
from wsisam_server.cli.pixel_size import pixel_size_option, say_pixel_size
from wsisam_server.cli.progress import counted
from wsisam_server.cli.prompts import BoxType, Numbers, PromptOutline, describe
from wsisam_server.client import areas
from wsisam_server.client.outline import Outline
from wsisam_server.core.shapes import GeometryRepairer, GeometryRepairError, collection, polygonal
from wsisam_server.wire import exemplars_from_proto, from_proto, to_proto

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsisam_server.core.answers import SurveyStep
    from wsisam_server.segmentation.segmenter import LikeSurvey, Survey

console = Console(stderr=True)

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_SHARE = Number(0, 1)


@click.command("everything")
@click.argument("slide", type=click.Path(path_type=Path))
@click.option(
    "--region", type=_FILE, help="Region to search: the areas in this file, as QuPath exports them (GeoJSON), or XML."
)
@click.option("--box", type=BoxType(), help="Region to search, as a box instead.")
@click.option("--min-size", type=Number(0, min_open=True), help="Of the smallest object; needed without --like.")
@click.option("--max-size", type=Number(0, min_open=True), help="Of the largest, at most 16 times that.")
@click.option("--like", type=_FILE, multiple=True, help="Propose what looks like the areas in this file; repeatable.")
@click.option("--unlike", type=_FILE, multiple=True, help="And not what looks like the areas in this one; repeatable.")
@click.option("--min-similarity", type=_SHARE, help="With --like: how sure a proposal must be.")
@click.option("--existing", type=_FILE, multiple=True, help="Existing objects, not to be proposed again; repeatable.")
@click.option("--class", "class_name", help="Give the proposals this class.")
@click.option(
    "--geojson", type=OutputFile(text=True), help="Write the proposals here, for QuPath. '-': to standard output."
)
@click.option(
    "--overlay", type=OutputFile(endings=PICTURES), help="Draw them on the slide, which must be readable here (PNG)."
)
@click.option("--server", metavar="HOST:PORT", help="Ask this server. Not given: the model runs in this process.")
@click.option("--min-score", type=_SHARE, help="Least quality that the model expects of an outline.")
@click.option("--min-stability", type=_SHARE, help="How little an outline may move with the model's threshold.")
@click.option(
    "--min-agreement", type=_SHARE, help="Share of the clicks in an outline that must have given the same one."
)
@click.option("--tolerance", type=Number(0, 1000), help="Simplification in microns (pixels without a pixel size).")
@pixel_size_option("--mpp")
@connection_options
@model_options
def command(
    *,
    slide: Path,
    region: Path | None,
    box: Numbers | None,
    min_size: float | None,
    max_size: float | None,
    like: tuple[Path, ...],
    unlike: tuple[Path, ...],
    min_similarity: float | None,
    existing: tuple[Path, ...],
    class_name: str | None,
    geojson: Path | None,
    overlay: Path | None,
    server: str | None,
    min_score: float | None,
    min_stability: float | None,
    min_agreement: float | None,
    tolerance: float | None,
    slide_mpp: float | None,
    connection: ConnectionOptions,
    **model: Any,
) -> None:
    """Propose all objects of some size in a region, or all that look like some.

    A size is the diameter of the circle of an object's area, in microns (pixels on a slide without a pixel size). Keep
    the range narrow: one working scale suits objects down to a third of the largest size. Nothing is stored.

    With --like, sizes follow from the objects in the files, which are on this slide; three of them do better than one.
    Proposals get the objects' classes. What was proposed and is wrong is of use in a file for --unlike.

    Example: wsisam everything case-7.svs --region gland.geojson --min-size 4 --max-size 12 --geojson nuclei.geojson

    Example: wsisam everything case-7.svs --region gland.geojson --like three.geojson --geojson nuclei.geojson
    """
    _check_wanted(like, unlike, min_size, max_size, min_similarity)
    if server is None:
        need("server", "wsisam everything without --server")
    if geojson is None and overlay is None:
        click.echo("nothing will be kept: no --geojson and no --overlay is given, only counts are printed", err=True)
    if region is not None and box is not None:
        raise click.UsageError("give --region or --box, not both")
    where = _region(region, slide) if region is not None else _box(box)
    wanted = pb.ProposalFilter(
        min_size=min_size or 0,
        max_size=max_size or 0,
        min_score=min_score,
        min_stability=min_stability,
        min_agreement=min_agreement,
    )
    request = pb.SegmentEverythingRequest(
        region=areas(where),
        existing=[areas(shape) for path in existing for shape in areas_in(path, slide)],
        filter=wanted,
        options=pb.OutlineOptions(tolerance=tolerance),
        mpp=slide_mpp,
        exemplars=[
            *(one for path in like for one in exemplars_in(path, slide, pb.EXEMPLAR_LABEL_POSITIVE)),
            *(one for path in unlike for one in exemplars_in(path, slide, pb.EXEMPLAR_LABEL_NEGATIVE)),
        ],
        min_similarity=min_similarity,
    )
    answers = _by_server(server, slide, request, model, connection) if server else _here(slide, request, model)
    found = _collect(answers, server)
    proposals = found.proposals
    click.echo(_summary(found.last))
    say_pixel_size(found.last.pixel_size)
    warn_of_damage(slide, found.damaged)
    if geojson is not None:
        name = class_name and one_name(class_name)
        features = [_feature(proposal, name or None) for proposal in proposals]
        write_json(geojson, collection(features))
    if overlay is not None:
        # Where there are none, the region as it is: an earlier run's picture would be taken for this one's.
        results = [PromptOutline(proposal.prompt, proposal.outline) for proposal in proposals]
        draw_on(slide, results, overlay, None if results else where.bounds)
    if found.stopped:
        raise StoppedError(_how_far(found.last, is_written=geojson is not None or overlay is not None))
    if found.problem is not None:
        raise found.problem


@dataclass
class _Found:
    """What was answered.

    Attributes:
        proposals: all that became final.
        damaged: windows that could not be read.
        last: the last answer.
        problem: why the rest was not answered.
        stopped: whether Ctrl+C came before all was.
    """

    proposals: list[pb.Proposal] = field(default_factory=list)
    damaged: list[geo.Window] = field(default_factory=list)
    last: pb.SegmentEverythingResponse = field(default_factory=pb.SegmentEverythingResponse)
    problem: click.ClickException | None = None
    stopped: bool = False


def _region(path: Path, slide: Path) -> shapely.MultiPolygon:
    """All areas of a file together."""
    repairer = GeometryRepairer()
    try:
        region = polygonal(shapely.union_all([repairer.repair(area) for area in areas_in(path, slide)]))
    except GeometryRepairError as error:
        raise click.ClickException(
            f"{path}: its areas cross themselves or lie over each other too often; simplify them"
        ) from error
    if region.is_empty:
        raise click.ClickException(f"{path}: it holds no area to search")
    return region


def _box(box: Numbers | None) -> shapely.MultiPolygon:
    if box is None:
        raise click.UsageError("give the region to search, with --region or --box")
    x0, y0, x1, y1 = box
    return shapely.MultiPolygon([shapely.box(x0, y0, x1, y1)])


def _collect(answers: Iterator[pb.SegmentEverythingResponse], server: str | None) -> _Found:
    """All that is answered. What came before Ctrl-C, a lost connection or another error is kept.

    Raises:
        click.ClickException: nothing was answered.
    """
    found = _Found()
    try:
        with refusals(server), counted(console, "windows") as tell, contextlib.closing(answers):  # type: ignore[type-var]
            for last in answers:
                found.last = last
                found.proposals += last.proposals
                found.damaged += last.unreadable
                tell(last.windows_done, last.windows_total)
    except KeyboardInterrupt:
        found.stopped = True
    except click.ClickException as error:
        if not found.last.windows_done:
            raise
        found.problem = click.ClickException(f"{error.message} What was found before is kept.")
    return found


def _how_far(last: pb.SegmentEverythingResponse, *, is_written: bool) -> str:
    """What was kept of a search that was stopped, and how to go on."""
    kept = "what was found in them is written" if is_written else "no output was named, so nothing is kept"
    return (
        f"{last.windows_done} of {last.windows_total} windows were searched, and {kept}. Search the rest with another "
        "--region, and give what was found as --existing"
    )


def _by_server(
    server: str, slide: Path, request: pb.SegmentEverythingRequest, model: dict[str, Any], connection: ConnectionOptions
) -> Iterator[pb.SegmentEverythingResponse]:
    named = model_of_server(model)
    with connection.connect(server) as client:
        request.slide_id = slide_there(client, slide)
        request.model = named
        yield from client.segment_everything(request)


def _here(
    slide: Path, request: pb.SegmentEverythingRequest, model: dict[str, Any]
) -> Iterator[pb.SegmentEverythingResponse]:
    with model_here(slide, model) as here:
        from wsisam_server.segmentation.segmenter import LikeSurvey, Survey

        request.slide_id, most = here.slide_id, here.limits.windows_per_region
        survey: Survey | LikeSurvey
        if request.exemplars:
            exemplars_from_proto.exemplar_ids(request)
            like = exemplars_from_proto.like(request, "", here.limits, {})
            survey = LikeSurvey.planned(here.segmenter, like, most)
        else:
            survey = Survey.planned(here.segmenter, from_proto.survey(request, "", here.limits), most)
        yield _message(survey, survey.begun)
        steps = survey.steps()
        try:
            while (step := here.wait(anext(steps, None))) is not None:
                yield _message(survey, step)
        finally:
            here.wait(steps.aclose())


def _message(survey: Survey | LikeSurvey, step: SurveyStep) -> pb.SegmentEverythingResponse:
    return to_proto.survey_step(
        step,
        windows_total=survey.total,
        downsample=survey.plan.downsample,
        found_with=survey.pixel_size,
    )


def _summary(last: pb.SegmentEverythingResponse) -> str:
    counts = last.counts
    gone = {name.name: getattr(counts, name.name) for name in counts.DESCRIPTOR.fields[2:]}
    reasons = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in gone.items() if count)
    unit = "microns" if last.unit == geo.LENGTH_UNIT_MICRON else "pixels"
    if last.HasField("likeness"):
        return _likeness(last, reasons, unit)
    return (
        f"{counts.proposed} objects from {counts.clicks} clicks in {last.windows_done} of {last.windows_total} windows "
        f"at downsample {last.downsample:.3g}, sizes in {unit}; other outlines: {reasons or 'none'}"
    )


def _likeness(last: pb.SegmentEverythingResponse, reasons: str, unit: str) -> str:
    """The summary of a search with exemplars."""
    likeness = last.likeness
    text = (
        f"{last.counts.proposed} objects of {likeness.min_size:.3g} to {likeness.max_size:.3g} {unit} in "
        f"{last.windows_total // 2} windows at downsample {last.downsample:.3g}; "
    )
    if likeness.HasField("expected_precision"):
        text += f"about {likeness.expected_precision:.0%} of them should be right; "
    text += f"other outlines: {reasons or 'none'}"
    if likeness.unsure:
        text += (
            "\nUnsure: these exemplars do not tell their kind from the rest, so only the likeliest are proposed. Show "
            "more with --like, and some that are not meant with --unlike."
        )
    return text


def _check_wanted(
    like: tuple[Path, ...],
    unlike: tuple[Path, ...],
    min_size: float | None,
    max_size: float | None,
    min_similarity: float | None,
) -> None:
    if not like:
        if unlike or min_similarity is not None:
            raise click.UsageError("--unlike and --min-similarity are for --like")
        if min_size is None or max_size is None:
            raise click.UsageError("give --min-size and --max-size, or objects that show what is wanted with --like")
    elif (min_size is None) != (max_size is None):
        raise click.UsageError(
            "give both --min-size and --max-size, or neither: with --like, sizes follow from the objects"
        )


def _feature(proposal: pb.Proposal, class_name: str | None) -> dict[str, Any]:
    """A proposal as a GeoJSON feature for QuPath."""
    similar = {"WSI-SAM similarity": proposal.similarity} if proposal.HasField("similarity") else {}
    return Outline(proposal.prompt, proposal.outline).to_geojson(
        path_class=class_name or proposal.path_class.name or None,
        measurements={
            **similar,
            "WSI-SAM stability": proposal.stability,
            "WSI-SAM agreement": proposal.agreement,
        },
        metadata={"wsisam.prompt": describe(proposal.prompt)},
    )
