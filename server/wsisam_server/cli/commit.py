"""Outlines that are stored as they are made: by the server that is asked, or in the store here."""

from __future__ import annotations

import functools
import getpass
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.annotations.store import Content, Draft, PathClass, SlideRecord, Store, store_name
from wsisam_server.annotations.store import class_name as one_name
from wsisam_server.cli.connection import ConnectionOptions
from wsisam_server.cli.store import opened, store_option
from wsisam_server.client.outline import Outline
from wsisam_server.core.settings import NONE

if TYPE_CHECKING:
    from pathlib import Path

    from wsisam_server.slides import SlideInfo

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass
class CommitOptions:
    """The values of `commit_options`: whether outlines are stored, and as what."""

    wanted: bool
    path_class: str | None
    project: str
    author: str
    store: str
    _place: Store | None = field(default=None, repr=False)
    _uri: str = ""

    @contextmanager
    def begun(self, slide: Path, request: pb.SegmentBatchRequest, server: str | None) -> Iterator[list[str]]:
        """The ids of the annotations-to-be, one for each prompt; opens the store here unless a server has one.

        Args:
            slide: its file, here or as the server sees it.
            request: its items get what the server needs to store their outlines.
            server: that is asked; None in this process.

        Raises:
            click.ClickException: the store cannot be used; found out before the model runs.
        """
        ids = [str(uuid.uuid4()) for _ in request.items]
        if not self.wanted:
            yield ids
            return
        self._uri = slide.resolve().as_uri() if slide.is_file() else str(slide)
        for item, annotation_id in zip(request.items, ids, strict=True):
            item.commit.CopyFrom(
                pb.Commit(annotation_id=annotation_id, author=self.author, project=self.project, uri=self._uri)
            )
            if self.path_class:
                item.commit.path_class.name = self.path_class
        with ExitStack() as stack:
            if server is None:
                self._place = stack.enter_context(opened(self.store, None, ConnectionOptions()))
            yield ids

    def keep(self, item: pb.BatchItem, outline: pb.Outline, info: SlideInfo) -> None:
        """Stores an outline that was made in this process, and notes so in it; an empty one is not stored.

        Raises:
            WsiSamServerError: the store refuses it.
        """
        made = Outline(item.prompt, outline)
        if self._place is None or made.is_empty:
            return
        content = Content(
            slide_id=info.fingerprint,
            shape=made.geometry,
            path_class=PathClass(self.path_class) if self.path_class else None,
            project=self.project,
            provenance=made.provenance(),
        )
        (saved,) = self._place.save(
            [Draft(uuid.UUID(item.commit.annotation_id), content, 0)],
            author=self.author,
            request_id=uuid.uuid4().hex,
            slides=[SlideRecord(info.fingerprint, (self._uri,), info.size)],
        )
        outline.saved.CopyFrom(pb.SavedAnnotation(id=str(saved.id), revision=saved.revision))

    def say(self, results: Sequence[Outline], server: str | None) -> None:
        """Says how many were stored, and where."""
        if self.wanted:
            count = sum(result.message.HasField("saved") for result in results)
            where = f"of the server {server}" if server else store_name(self.store)
            click.echo(f"{count} annotations were stored in the store {where}", err=True)


def commit_options(command: Command) -> Command:
    """Adds --commit and what goes with it; the command gets them as `commit`."""

    @functools.wraps(command)
    def bundled(*, commit: bool, path_class: str | None, project: str, author: str, store: str, **given: Any) -> Any:
        source = click.get_current_context().get_parameter_source
        if not commit:
            for option in ("project", "author"):
                if (said := source(option)) is not None and said.name == "COMMANDLINE":
                    raise click.UsageError(f"--{option} goes with --commit")
        if commit and not author:
            raise click.UsageError("your user has no name; say who stores them with --author")
        if commit and store == NONE and not given["server"]:
            raise click.UsageError("--commit needs a store: name it with --store, or ask a --server")
        name = one_name(path_class) if path_class else None
        return command(**given, commit=CommitOptions(commit, name, project, author, store))

    options = (
        click.option("--commit", is_flag=True, help="Store the outlines: the --server's, or in --store."),
        click.option("--class", "path_class", metavar="NAME", help="Give the outlines this class."),
        click.option("--project", default="", help="With --commit: what they belong to."),
        click.option("--author", default=user_name, help="With --commit: who stores them; you, if not given."),
        functools.partial(store_option, needed=False),
    )
    for option in reversed(options):
        bundled = option(bundled)
    return cast("Command", bundled)


def user_name() -> str:
    """Who runs this; empty where no name is known for this user's number."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
