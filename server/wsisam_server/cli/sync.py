"""`wsisam sync`: a QuPath project and the store hold the same annotations afterwards."""

from __future__ import annotations

import getpass
import uuid
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NoReturn

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from wsisam_server.annotations.store import StoreError, store_name
from wsisam_server.annotations.sync.errors import SyncError
from wsisam_server.annotations.sync.options import Options
from wsisam_server.annotations.sync.plan import Direction, Resolution, Side
from wsisam_server.annotations.sync.process import REQUEST_SECONDS, QuPathProcess
from wsisam_server.annotations.sync.syncing import sync
from wsisam_server.cli.deidentification import deidentify_options, tell
from wsisam_server.cli.interruption import StoppedError, on_stop
from wsisam_server.cli.numbers import Number
from wsisam_server.cli.outputs import OutputFile, write_json
from wsisam_server.cli.store import opened, place_options
from wsisam_server.cli.sync_table import show
from wsisam_server.core.settings import NONE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from wsisam_server.annotations.formats.deidentifying import Deidentifier
    from wsisam_server.annotations.store import Store
    from wsisam_server.annotations.sync.model import Image
    from wsisam_server.annotations.sync.report import ImageReport, Report
    from wsisam_server.annotations.sync.steps import Step
    from wsisam_server.cli.connection import ConnectionOptions

console = Console(stderr=True)


class FailedError(click.ClickException):
    """Nothing was synced, or not to the end."""

    exit_code = 2


class ResolutionType(click.ParamType):  # type: ignore[type-arg]
    """store or qupath, for all conflicts or, with :UUID, for one."""

    name = "resolution"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Side, uuid.UUID | None]:
        """See click.ParamType."""
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]
        side, colon, one = value.partition(":")
        try:
            return Side(side), uuid.UUID(one) if colon else None
        except ValueError:
            self.fail(f"{value!r}: write store or qupath, and for a single conflict :UUID after it", param, ctx)


@click.command("sync")
@click.argument("project", type=click.Path(path_type=Path))
@click.option(
    "--direction",
    type=click.Choice([direction.value for direction in Direction]),
    default=Direction.BOTH.value,
    show_default=True,
    help="Which side may be changed.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--images", metavar="GLOB", default="*", help="Only images with such a name, for example 'case-7*'.")
@click.option("--class", "path_class", metavar="NAME", help="Only annotations of this class.")
@click.option(
    "--resolve",
    "resolutions",
    metavar="store|qupath[:UUID]",
    type=ResolutionType(),
    multiple=True,
    help="Settle conflicts with the store's or QuPath's version: all, or one by its UUID. Repeatable.",
)
@click.option("--author", help="Whose changes QuPath's are; qupath: and your user name if not given.")
@click.option("--persist-ids", is_flag=True, help="Save old data files again, whose objects have no ids yet.")
@click.option("--even-if-open", is_flag=True, help="Write images even if a running QuPath seems to show them.")
@click.option(
    "--time-limit",
    type=Number(1),
    default=REQUEST_SECONDS,
    show_default=True,
    help="Seconds that QuPath's Java may take for one image.",
)
@click.option("--json", "json_path", type=OutputFile(text=True), help="Write the report here. '-': to standard output.")
@deidentify_options
@place_options
def command(
    *,
    project: Path,
    direction: str,
    resolutions: Sequence[tuple[Side, uuid.UUID | None]],
    author: str | None,
    time_limit: float,
    json_path: Path | None,
    deidentifier: Deidentifier | None,
    store: str,
    server: str | None,
    connection: ConnectionOptions,
    **wanted: Any,
) -> None:
    """Sync the annotations of a QuPath project with the store, both ways.

    PROJECT is a .qpproj file. Needs paquo (pip install ".[sync]") and a QuPath on this machine. Save and close the
    project in QuPath first: what is not saved is not seen.

    Exit status: 0 in sync, 1 conflicts remain, 2 something failed.

    Example: wsisam sync Colon/project.qpproj --server 127.0.0.1:8765 --dry-run
    """
    if deidentifier is not None and json_path is None:
        raise click.UsageError("--deidentify is for the report: name its file with --json. A sync itself hides nothing")
    _refuse_no_store(store, server)
    options = Options(Direction(direction), resolution=_resolution(resolutions), **wanted)
    process = QuPathProcess(request_seconds=time_limit)
    try:
        with (
            _Bars() as bars,
            on_stop(lambda: bars.kept(dry_run=options.dry_run)),
            _place(store, server, connection, dry_run=options.dry_run) as place,
        ):
            name = server or store_name(store)
            report = sync(project, place, process, options, author=author or _author(), store_name=name, listener=bars)
    except SyncError as error:
        raise FailedError(str(error)) from error
    except (click.UsageError, StoppedError):
        raise
    except click.ClickException as error:
        raise FailedError(error.message) from error
    _tell(report, json_path, deidentifier)


def _tell(report: Report, json_path: Path | None, deidentifier: Deidentifier | None) -> NoReturn:
    if json_path is not None:
        said = report.as_json()
        write_json(json_path, said if deidentifier is None else deidentifier.sync_report(said), indent=1)
        tell(deidentifier)
    show(report, Console())
    raise click.exceptions.Exit(report.status)


@contextmanager
def _place(store: str, server: str | None, reach: ConnectionOptions, *, dry_run: bool) -> Iterator[Store]:
    """The store; for a dry run with one that is not there yet an empty one that leaves no trace."""
    if not dry_run or server is not None or not _is_missing_file(store):
        with opened(store, server, reach) as place:
            yield place
        return
    if not Path(store_name(store)).parent.is_dir():
        raise click.UsageError(f"{store}: there is no folder {Path(store_name(store)).parent}")
    with TemporaryDirectory() as folder, opened(str(Path(folder) / "dry-run.sqlite"), None, reach) as place:
        yield place


def _is_missing_file(store: str) -> bool:
    try:
        name = store_name(store)
    except StoreError:
        return False  # who opens it says what is wrong
    return "://" not in name and not Path(name).exists()


def _refuse_no_store(store: str, server: str | None) -> None:
    """A store that nobody named must be there: nobody wants a new one that the lab's server does not know."""
    if server is None and store == NONE:
        raise click.UsageError("a sync needs a store: name it with --store, or the lab's --server")
    source = click.get_current_context().get_parameter_source("store")
    if server is None and (source is None or source.name == "DEFAULT") and not Path(store).exists():
        text = f"this machine has no store ({store}). Name the lab's server with --server HOST:PORT, or a --store"
        raise FailedError(text)


def _resolution(given: Sequence[tuple[Side, uuid.UUID | None]]) -> Resolution:
    default = {side for side, one in given if one is None}
    if len(default) > 1:
        raise click.UsageError("--resolve: all conflicts are settled with store or with qupath, not with both")
    return Resolution(next(iter(default), None), {one: side for side, one in given if one is not None})


def _author() -> str:
    try:
        return f"qupath:{getpass.getuser()}"
    except (OSError, KeyError):  # a container's user without a name
        return "qupath:unknown"


class _Bars:
    """Shows which image is synced, and what is done with it."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bars.add_task("starting", total=None)
        self._images = self._done = 0

    def kept(self, *, dry_run: bool) -> str:
        """What a sync that was stopped has done, and how to go on."""
        if dry_run:
            return "nothing was changed"
        return (
            f"{self._done} of {self._images} images are in sync. What was done of the one after them stays, on both "
            "sides. The same command goes on from there"
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def begin(self, images: int) -> None:
        """See `ProgressListener`."""
        self._images = images
        self._bars.update(self._task, total=images)

    def step(self, step: Step, image: Image | None = None) -> None:
        """See `ProgressListener`."""
        about = "" if image is None else f"{image.name}: "
        self._bars.update(self._task, description=f"{about}{step.value}")

    def end(self, report: ImageReport) -> None:
        """See `ProgressListener`."""
        self._done += 1
        self._bars.advance(self._task)
        self._bars.update(self._task, description=report.image.name)
