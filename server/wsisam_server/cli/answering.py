"""Who answers about one slide, a server or a model in this process; shared by the commands that outline."""

from __future__ import annotations

import asyncio
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console

from wsisam_server.cli.extras import need
from wsisam_server.cli.pixel_size import say_if_not_square
from wsisam_server.client import ServerError
from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.core.settings import ModelChoice, Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator
    from pathlib import Path

    from wsisam_server.client import Client
    from wsisam_server.core.settings import Limits
    from wsisam_server.segmentation.segmenter import Segmenter

Result = TypeVar("Result")

console = Console(stderr=True)


@contextmanager
def refusals(server: str | None) -> Iterator[None]:
    """Says what a server, or the model in this process, refuses.

    Args:
        server: HOST:PORT of the one that is asked; None in this process.

    Raises:
        click.ClickException: with what to do.
    """
    try:
        yield
    except ServerError as error:
        if error.status == "UNAVAILABLE" and not error.reason:  # the way there, in words
            raise click.ClickException(error.text) from error
        whose = "" if error.reason else f"{server}: "
        raise click.ClickException(f"{whose}{error.status}: {error.text}") from error
    except WsiSamServerError as error:
        raise click.ClickException(f"{error.public_text} {error.private_text}".strip()) from error


def slide_there(client: Client, slide: Path) -> str:
    """The id of a slide that a server has opened.

    Raises:
        ServerError: it cannot.
    """
    # A relative path that exists here is this file, not one of the same name below the server's roots.
    opened = client.open_slide(str(slide.resolve() if slide.is_file() else slide))
    if opened.mpp_x is not None and opened.mpp_y is not None:
        say_if_not_square(opened.mpp_x, opened.mpp_y)
    return opened.slide_id


@dataclass(frozen=True, slots=True)
class Here:
    """A model in this process, with one slide open.

    Attributes:
        segmenter: answers prompts.
        slide_id: of the slide.
        limits: that hold for requests.
    """

    segmenter: Segmenter
    slide_id: str
    limits: Limits
    _loop: asyncio.AbstractEventLoop

    def wait(self, answer: Awaitable[Result]) -> Result:
        """Waits for what the segmenter does."""
        return self._loop.run_until_complete(answer)


@contextmanager
def model_here(slide: Path, model: dict[str, Any]) -> Iterator[Here]:
    """Loads a model and opens a slide, and closes both.

    Args:
        slide: its file.
        model: the values of `model_options`.

    Raises:
        click.ClickException: there is no such file or model.
        WsiSamServerError: the slide cannot be read.
    """
    need("server", f"wsisam {click.get_current_context().info_name} without --server")
    from wsisam_server.cli.app import build_segmenter
    from wsisam_server.cli.model import load_model

    if not slide.is_file():
        raise click.ClickException(f"{slide}: no such file")
    path = slide.resolve()
    settings = Settings(slides=(path.parent,), model=ModelChoice(threads=model["threads"]))
    load = {name: value for name, value in model.items() if name != "threads"}
    with closing(asyncio.new_event_loop()) as loop:
        segmenter = build_segmenter(settings)
        try:
            with console.status("loading the model"):
                loop.run_until_complete(segmenter.start(lambda: load_model(**load)))
            slide_id, info, _ = segmenter.open_slide(str(path), None)
            if info.axes is not None:
                say_if_not_square(info.axes.x, info.axes.y)
            yield Here(segmenter, slide_id, settings.limits, loop)
        finally:
            loop.run_until_complete(segmenter.close())
