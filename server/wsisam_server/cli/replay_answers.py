"""Answerers of a replay's prompts: a server, or a model in this process."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.annotations.store import Provenance, kept_levels, provenance
from wsisam_server.client import ServerError, geometry, is_installed
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.core.geometry import FieldPair, Window
from wsisam_server.core.requests import ExactWindow, OutlineOptions, Request
from wsisam_server.core.settings import ModelChoice, Settings
from wsisam_server.learning.dataset_export import DatasetExportError, SlideFinder, annotated_slide
from wsisam_server.learning.replay import (
    RefusedError,
    ReplayedOutline,
    max_candidates,
    refinement,
    steps,
    windows_used,
)
from wsisam_server.slides import FileLocation, SlideAccess, SlideFile
from wsisam_server.wire import annotation_from_proto, annotation_to_proto, to_proto

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wsisam_model import WsiSam
    from wsisam_server.annotations.store import Level, SlideRecord
    from wsisam_server.cli.connection import ConnectionOptions
    from wsisam_server.core.answers import Outcome
    from wsisam_server.core.prompt import SlidePrompt
    from wsisam_server.core.requests import Refinement


class RemoteAnswerer:
    """A server's model.

    Args:
        server: HOST:PORT.
        connection: how to reach it.
        model: its name; empty for the server's default.

    Raises:
        click.ClickException: the server does not answer, or does not have it.
    """

    def __init__(self, server: str, connection: ConnectionOptions, model: str) -> None:
        self._client = connection.connect(server)
        self._slides: dict[str, str] = {}
        try:
            known = self._client.models()
        except ServerError as error:
            self._client.close()
            raise click.ClickException(f"{server}: {error.text}") from error
        found = [one for one in known if one.name == model] if model else known[:1]
        if not found:
            self._client.close()
            names = ", ".join(one.name for one in known if is_installed(one))
            raise click.ClickException(f"{server} has no model named {model!r}; it has {names}")
        self.model = found[0].name
        self.weights_hash = found[0].weights_hash
        self._size = found[0].image_size

    def answer(
        self, slide: SlideRecord, prompt: SlidePrompt, window: Window | None, levels: tuple[Level, ...]
    ) -> ReplayedOutline:
        """See `Answerer`."""
        slide_id, wanted = self._slide_id(slide), refinement(levels, window)
        try:
            try:
                last = self._last(slide_id, prompt, window, wanted)
            except ServerError as error:
                if wanted is None or not error.details.get("field", "").endswith("refine.max_windows"):
                    raise
                # A server may allow less than servers usually do, and does not say so before.
                wanted = replace(wanted, max_windows=max(windows_used(levels), 1))
                last = self._last(slide_id, prompt, window, wanted)
        except ServerError as error:
            raise RefusedError(error.text) from error
        high = last.field.high
        made = Provenance(
            model=last.model,
            weights_hash=last.weights_hash,
            prompt=prompt,
            field=FieldPair(Window(high.x, high.y, high.downsample, high.size)),
            score=last.score,
            levels=kept_levels(annotation_from_proto.levels(last.levels, "levels")),
        )
        return ReplayedOutline(geometry(last.geometry), made, truncated=last.truncated)

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()

    def _last(self, slide_id: str, prompt: SlidePrompt, window: Window | None, wanted: Refinement | None) -> pb.Outline:
        start = pb.Start(slide_id=slide_id, model=self.model)
        field = None
        if window is not None:
            field = pb.FieldChoice(high=to_proto.window(_resized(window, self._size)))
        grown = steps(prompt)
        asked = [annotation_to_proto.prompt(step) for step in grown]
        refinements = {}
        if wanted is not None:
            message = pb.Refinement(downsample=wanted.downsample, max_windows=wanted.max_windows)
            refinements[len(asked) - 1] = message
        options = {
            n: pb.OutlineOptions(max_candidates=most) for n, most in enumerate(max_candidates(grown)) if most > 1
        }
        *_, last = self._client.refine(start, asked, field=field, refinements=refinements, options=options)
        return last

    def _slide_id(self, slide: SlideRecord) -> str:
        """The id under which the server has the slide open, if it is the very one."""
        if slide.slide_id in self._slides:
            return self._slides[slide.slide_id]
        for uri in slide.uris:
            try:
                opened = self._client.open_slide(uri)
            except ServerError:
                continue
            if annotated_slide(slide).identity in {None, opened.slide_id}:
                self._slides[slide.slide_id] = opened.slide_id
                return opened.slide_id
        raise RefusedError(f"the server does not find the slide ({', '.join(slide.uris) or slide.slide_id})")


class LocalAnswerer:
    """A model in this process.

    Args:
        load: loads it.
        finder: finds slides.
        threads: of the model.
    """

    def __init__(self, load: Callable[[], WsiSam], finder: SlideFinder, threads: int | None) -> None:
        from wsisam_server.cli.app import build_segmenter

        self._finder = finder
        self._files = _Files()
        self._loop = asyncio.new_event_loop()
        settings = Settings(model=ModelChoice(threads=threads))
        self._most_windows = settings.limits.refinement_windows
        self._segmenter = build_segmenter(settings, access=self._files)
        try:
            self._loop.run_until_complete(self._segmenter.start(load))
        except BaseException:
            self.close()
            raise
        info = self._segmenter.model("")
        self.model = info.name
        self.weights_hash = info.weights_hash
        self._size = info.image_size

    def answer(
        self, slide: SlideRecord, prompt: SlidePrompt, window: Window | None, levels: tuple[Level, ...]
    ) -> ReplayedOutline:
        """See `Answerer`."""
        choice = None if window is None else ExactWindow(_resized(window, self._size))
        wanted = refinement(levels, window)
        if wanted is not None:
            wanted = replace(wanted, max_windows=min(wanted.max_windows or self._most_windows, self._most_windows))
        outcome: Outcome | None = None
        asked = steps(prompt)
        most = max_candidates(asked)
        try:
            slide_id = self._open(slide)
            for number, step in enumerate(asked, 1):
                request = Request(
                    slide_id,
                    step,
                    choice=choice,
                    options=OutlineOptions(max_candidates=most[number - 1]),
                    interactive=False,
                    earlier=outcome,
                    refinement=wanted if number == len(asked) else None,
                )
                field = None if outcome is None else outcome.field
                outcome = self._loop.run_until_complete(self._segmenter.segment(request, field=field))
        except WsiSamServerError as error:
            raise RefusedError(error.public_text) from error
        except DatasetExportError as error:
            raise RefusedError(str(error)) from error
        assert outcome is not None
        return ReplayedOutline(outcome.outline.geometry, provenance(prompt, outcome), truncated=outcome.truncated)

    def close(self) -> None:
        """Closes the model."""
        self._loop.run_until_complete(self._segmenter.close())
        self._loop.close()

    def _open(self, slide: SlideRecord) -> str:
        if slide.slide_id not in self._files.found:
            self._files.found[slide.slide_id] = self._finder.find(annotated_slide(slide))
        slide_id, _, _ = self._segmenter.open_slide(slide.slide_id, None)
        return slide_id


class _Files(SlideAccess):
    """The files that were found, each under its slide's id."""

    def __init__(self) -> None:
        super().__init__((), ())
        self.found: dict[str, Path] = {}

    def locations(self, uri: str) -> list[FileLocation]:
        """See `SlideAccess`."""
        if uri not in self.found:
            raise WsiSamServerError(Reason.SLIDE_NOT_FOUND, private=uri)
        return [FileLocation(None, self.found[uri])]

    def find(self, location: FileLocation) -> Path | None:
        """See `SlideAccess`."""
        return location.path

    def open(self, path: Path) -> SlideFile:
        """See `SlideAccess`."""
        return SlideFile.open(path)


def _resized(window: Window, size: int) -> Window:
    """The same region, for a model of another input size."""
    return Window(window.x, window.y, window.extent / size, size)


def answers(
    server: str | None,
    connection: ConnectionOptions,
    model: dict[str, Any],
    load: Callable[[], WsiSam],
    finder: SlideFinder,
) -> LocalAnswerer | RemoteAnswerer:
    """A server's answerer if one is named, else a local one."""
    return (
        RemoteAnswerer(server, connection, model["model"]) if server else LocalAnswerer(load, finder, model["threads"])
    )
