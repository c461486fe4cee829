"""`wsisam precompute`: windows of a slide, encoded before anybody asks."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click
import shapely
from rich.console import Console

from wsisam_server.cli.annotation_files import read_annotations
from wsisam_server.cli.damaged_windows import warn_of_damage
from wsisam_server.cli.extras import need
from wsisam_server.cli.interruption import on_stop
from wsisam_server.cli.model import FILE, load_model, model_options
from wsisam_server.cli.numbers import Number, shown
from wsisam_server.cli.options import PREFIX, SEPARATOR, settings_options
from wsisam_server.cli.pixel_size import pixel_size_of, pixel_size_option
from wsisam_server.cli.progress import counted
from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.core.geometry import Box
from wsisam_server.core.settings import Limits
from wsisam_server.inference.embeddings import EmbeddingStore
from wsisam_server.segmentation.fields import Lattice
from wsisam_server.segmentation.fields.plan import BLIND_MPP
from wsisam_server.slides import find_tissue, open_slide, read_in_parts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wsisam_server.core.geometry import FieldPair
    from wsisam_server.segmentation.precompute import Precompute, PrecomputePlan

console = Console(stderr=True)
POSITIVE = Number(0, min_open=True)

FOLDER_VARIABLE: Final = f"{PREFIX}EMBEDDING_STORE"
BYTES_VARIABLE: Final = f"{PREFIX}LIMITS{SEPARATOR}EMBEDDING_STORE_BYTES"

embedding_store_options = settings_options("embedding_store", "limits.embedding_store_bytes", envvar=True)
"""Adds --embedding-store and --embedding-store-bytes."""


@click.command("precompute")
@click.argument("slide", type=FILE)
@click.option("--annotations", type=FILE, help="For boxes about the annotations in this file (GeoJSON or XML).")
@click.option("--tissue", is_flag=True, help="For clicks on tissue. With neither, for clicks anywhere on the slide.")
@click.option(
    "--mpp",
    "resolutions",
    type=POSITIVE,
    multiple=True,
    help="Working resolution of clicks, microns per model pixel; repeatable. That of a click without a view if not "
    f"given: {BLIND_MPP:g}.",
)
@click.option(
    "--downsample",
    "downsamples",
    type=POSITIVE,
    multiple=True,
    help="The same in level-0 pixels per model pixel, for slides without a pixel size; repeatable.",
)
@pixel_size_option()
@click.option("--dry-run", is_flag=True, help="Say how much there is to do, and end.")
@click.option("--as-many-as-fit", is_flag=True, help="Encode what fits the store, the finest first from the top.")
@embedding_store_options
@model_options
def command(
    *,
    slide: Path,
    annotations: Path | None,
    tissue: bool,
    resolutions: tuple[float, ...],
    downsamples: tuple[float, ...],
    slide_mpp: float | None,
    dry_run: bool,
    as_many_as_fit: bool,
    embedding_store: Path | None,
    embedding_store_bytes: int,
    **model: Any,
) -> None:
    """Encode the windows of a slide that prompts will need, into the store of `wsisam serve --embedding-store`.

    Use the server's model, number type and limit. Ctrl+C ends it; run again, it goes on where it was, and looks
    whether what is there is sound.

    Example: wsisam precompute slide.svs --tissue --mpp 1 --mpp 2 --embedding-store /data/embeddings
    """
    if annotations is not None and (tissue or resolutions or downsamples):
        problem = "--annotations says where prompts will be, and at what resolution"
        raise click.UsageError(f"{problem}: leave out --tissue, --mpp and --downsample, or run twice")
    need("server", "wsisam precompute")
    from wsisam_server.inference.scheduler import StoredFeatures
    from wsisam_server.segmentation.precompute import Precompute, planned

    store = _store(embedding_store, embedding_store_bytes)
    try:
        with closing(open_slide(slide.resolve(), Limits())) as opened:
            with console.status("loading the model"):
                loaded = load_model(**model)
            work = Precompute(opened, loaded, StoredFeatures(loaded, store))
            if annotations is not None:
                fields = _about(annotations, work)
            else:
                mpp = pixel_size_of(opened.info, slide_mpp)
                fields = _clicks(work, _scales(work, resolutions, downsamples, mpp), mpp, tissue=tissue)
            plan = planned(work, fields, most_bytes=store.room if as_many_as_fit else None)
            _say(work, plan)
            if not dry_run:
                _check_room(plan, store)
                _run(slide, work, plan, store)
    except WsiSamServerError as error:
        raise click.ClickException(f"{slide}: {error.public_text}") from error


def _store(folder: Path | None, nbytes: int) -> EmbeddingStore:
    if folder is None:
        raise click.UsageError(f"say where the server keeps embeddings: --embedding-store, or ${FOLDER_VARIABLE}")
    there = _nearest(folder)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise click.ClickException(f"{folder}: cannot be written; run this as the server's user, or choose another")
    return EmbeddingStore(folder, nbytes)


def _nearest(folder: Path) -> Path:
    """The folder itself, or what is there of those above it: the store makes its own when it first writes."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _scales(
    work: Precompute, resolutions: tuple[float, ...], downsamples: tuple[float, ...], slide_mpp: float | None
) -> list[Lattice]:
    info, wanted = work.slide.info, list(downsamples)
    if resolutions:
        if slide_mpp is None:
            raise click.UsageError(
                "the slide does not say its pixel size: give it with --slide-mpp, or use --downsample in place of --mpp"
            )
        wanted += [mpp / slide_mpp for mpp in resolutions]
    if not wanted:
        wanted = [BLIND_MPP / slide_mpp if slide_mpp else 1.0]
    lattices = (Lattice.near(info.size, work.model.image_size, downsample) for downsample in wanted)
    return list(dict.fromkeys(lattices))


def _clicks(work: Precompute, lattices: list[Lattice], slide_mpp: float | None, *, tissue: bool) -> list[FieldPair]:
    from wsisam_server.segmentation.precompute import fields_over

    found = None
    if tissue:
        with console.status("looking for tissue"):
            found = find_tissue(work.slide.info.size, partial(read_in_parts, work.slide.read))
        click.echo(f"tissue on {found.share:.0%} of the slide")
        if not found.mask.any():
            raise click.ClickException("there is no tissue on it that could be told from glass; leave out --tissue")
    fields = []
    for lattice in lattices:
        more = fields_over(lattice, found)
        unit = f" ({lattice.downsample * slide_mpp:.2f} microns per pixel)" if slide_mpp else ""
        click.echo(f"{len(more):,} fields at downsample {lattice.downsample:.3g}{unit}")
        fields += more
    return fields


def _about(annotations: Path, work: Precompute) -> Sequence[FieldPair]:
    from wsisam_server.segmentation.precompute import fields_of_boxes

    info = work.slide.info
    entries, _ = read_annotations(annotations, info.fingerprint, origin=lambda: info.frame_origin)
    bounds = shapely.bounds([entry.draft.content.shape for entry in entries]).reshape(-1, 4)
    boxes = [Box(*map(float, one)) for one in bounds if one[2] > one[0] and one[3] > one[1]]
    fields, outside = fields_of_boxes(boxes, work.slide.info, work.model.image_size)
    left_out = {"without an area": len(bounds) - len(boxes), "outside the slide": outside}
    for why, count in left_out.items():
        if count:
            click.echo(f"{annotations}: left out: {count} annotations {why}", err=True)
    if not fields:
        raise click.ClickException(f"{annotations}: there is no annotation in it for which windows could be encoded")
    click.echo(f"{len(fields):,} fields for {len(boxes) - outside:,} annotations")
    return fields


def _say(work: Precompute, plan: PrecomputePlan) -> None:
    missing = len(plan.missing)
    there = len(plan.windows) - missing
    click.echo(f"{len(plan.windows):,} windows, {shown(plan.nbytes)}; {there:,} of them are there already")
    if missing:
        time = timedelta(seconds=round(work.seconds(plan)))
        click.echo(f"{missing:,} windows to encode, {shown(plan.missing_bytes)}, in about {time}")


def _check_room(plan: PrecomputePlan, store: EmbeddingStore) -> None:
    if plan.nbytes > store.room:
        raise click.ClickException(
            f"they do not fit: the store is limited to {shown(store.limit)}, {shown(store.room)} without gaps, and the "
            "first windows would go for the last. Raise --embedding-store-bytes here and for the server "
            f"(${BYTES_VARIABLE}), choose a coarser --mpp, or take --as-many-as-fit"
        )
    growth = min(plan.missing_bytes, max(store.limit - store.nbytes, 0))
    free = shutil.disk_usage(_nearest(store.folder)).free
    if growth > free:
        raise click.ClickException(f"they do not fit: the disk of {store.folder} has {shown(free)} left")


def _run(slide: Path, work: Precompute, plan: PrecomputePlan, store: EmbeddingStore) -> None:
    try:
        with (
            on_stop(
                lambda: f"the windows that were encoded stay in {store.folder}. The same command goes on from there"
            ),
            counted(console, "windows") as progress,
        ):
            done = work.run(plan, progress)
    except OSError as error:
        raise click.ClickException(f"cannot write to {store.folder}: {error}. What was written stays") from error
    warn_of_damage(slide, done.unreadable)
    click.echo(f"{done.encoded:,} windows encoded; the store holds {shown(store.nbytes)} of {shown(store.limit)}")
