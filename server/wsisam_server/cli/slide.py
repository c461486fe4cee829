"""The options that name a slide by its file, shared by the commands that file annotations under it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wsisam_server.annotations.store import SlideRecord
from wsisam_server.client import ServerError
from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.core.geometry import SlideSize
from wsisam_server.core.settings import Limits
from wsisam_server.slides import open_slide

if TYPE_CHECKING:
    from wsisam_server.cli.connection import ConnectionOptions

Command = TypeVar("Command", bound=Callable[..., Any])


def slide_options(command: Command) -> Command:
    """Adds --slide and --slide-id, for `named_slide`."""
    by_file = click.option("--slide", metavar="FILE", help="The slide's file, here or as the --server sees it.")
    by_id = click.option("--slide-id", metavar="TEXT", help="The slide's id, instead: what it is filed under.")
    return by_file(by_id(command))


@dataclass(frozen=True, slots=True)
class NamedSlide:
    """A slide that was named.

    Attributes:
        record: what the store notes of it.
        frame_origin: see `SlideInfo`; None when its file is not here.
    """

    record: SlideRecord
    frame_origin: tuple[float, float] | None = None


def named_slide(
    slide: str | None, slide_id: str | None, server: str | None, connection: ConnectionOptions
) -> SlideRecord | None:
    """The slide that the options name; None when they name none.

    Raises:
        click.ClickException: with what to do.
    """
    named = located_slide(slide, slide_id, server, connection)
    return None if named is None else named.record


def located_slide(
    slide: str | None, slide_id: str | None, server: str | None, connection: ConnectionOptions
) -> NamedSlide | None:
    """The slide that the options name, with where it lies in its frame; None when they name none.

    Raises:
        click.ClickException: with what to do.
    """
    if slide is not None and slide_id is not None:
        raise click.UsageError("give --slide or --slide-id, not both")
    if slide_id is not None:
        return NamedSlide(SlideRecord(slide_id))
    if slide is None:
        return None
    path = Path(slide)
    if path.is_file():
        return _here(path.resolve())
    if server is None:
        raise click.ClickException(f"{slide}: no such file. Name the slide with --slide-id if its file is elsewhere")
    return NamedSlide(_there(slide, server, connection))


def _here(path: Path) -> NamedSlide:
    try:
        opened = open_slide(path, Limits())
    except WsiSamServerError as error:
        raise click.ClickException(f"{path}: {error.public_text} Or name the slide with --slide-id.") from error
    try:
        record = SlideRecord(opened.info.fingerprint, (path.as_uri(),), opened.info.size)
        return NamedSlide(record, opened.info.frame_origin)
    finally:
        opened.close()


def _there(slide: str, server: str, connection: ConnectionOptions) -> SlideRecord:
    try:
        with connection.connect(server) as client:
            found = client.open_slide(slide)
    except ServerError as error:
        raise click.ClickException(f"{slide}: {error.text}") from error
    return SlideRecord(found.slide_id, (slide,), SlideSize(found.width, found.height))
