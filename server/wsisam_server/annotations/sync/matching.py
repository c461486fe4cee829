"""Which slide an image of a project shows: by its URI, or by name, size and fingerprint of the file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import openslide

from wsisam_server.annotations.store import AnnotationFilter
from wsisam_server.annotations.sync.errors import SyncError
from wsisam_server.annotations.sync.record import SlideSeen
from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.core.settings import Limits
from wsisam_server.slides import fingerprint, open_slide
from wsisam_server.slides.client_path import ClientPath

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsisam_server.annotations.store import Store
    from wsisam_server.annotations.sync.model import Image
    from wsisam_server.core.geometry import SlideSize


class UnmatchedError(SyncError):
    """No slide is known to be the one that an image shows; the text says why."""


class Matcher:
    """Finds the slides of a project's images. The file counts, wherever it lies; its path only helps to find it.

    Args:
        store: knows where slides were seen.
        folder: the project's.
        former: the URI of the project file when QuPath last saved it; if the project was moved together with its
            images, they are found by where they lay from there.
    """

    def __init__(self, store: Store, folder: Path, former: str | None) -> None:
        self._store = store
        self._folder = folder
        self._former = None if former is None else _path(former)

    def match(self, image: Image, seen: SlideSeen | None) -> SlideSeen:
        """Finds an image's slide.

        Args:
            image: of the project.
            seen: what was found last time; taken when neither the image's URIs nor the file have changed.

        Raises:
            UnmatchedError: no slide is known to be the one.
        """
        if image.view:
            raise UnmatchedError(
                f"the project shows it {image.view}, so its coordinates are not the slide's; only whole images are "
                "synced"
            )
        path = next(self._files(image), None)
        if path is None:
            return self._by_uri(image, seen)
        status = path.stat()
        file = (str(path), status.st_size, status.st_mtime_ns)
        if seen is not None and seen.uris == image.uris and seen.file == file:
            return seen
        return SlideSeen(self._known_as(_identified(path, image.size), image), image.uris, file)

    def _files(self, image: Image) -> Iterator[Path]:
        """The image's file, where it should be or where it should have been moved to."""
        for path in filter(None, map(_path, image.uris)):
            if path.is_file():
                yield path
            if self._former is not None:
                relative = os.path.relpath(path, self._former.parent)
                moved = Path(os.path.normpath(self._folder / relative))
                if moved.is_file():
                    yield moved
            beside = self._folder / path.name
            if beside.is_file():
                yield beside

    def _known_as(self, identity: str, image: Image) -> str:
        """The store's id for a file: its fingerprint, unless the slide is known by its URI alone.

        Clients whose server cannot open a slide name it by its URI.
        """
        if self._store.slides([identity]):
            return identity
        return next((record.slide_id for record in self._store.slides(image.uris)), identity)

    def _by_uri(self, image: Image, seen: SlideSeen | None) -> SlideSeen:
        """Where the file is not on this machine, what others know of it must do."""
        if seen is not None and seen.uris == image.uris:
            return seen
        for uri in image.uris:
            page = self._store.listing(AnnotationFilter(uri=uri), after=0, limit=1, deleted=True)
            for annotation in page.annotations:
                slide_id = annotation.content.slide_id
                for record in self._store.slides([slide_id]):
                    if None in (record.size, image.size) or record.size == image.size:
                        return SlideSeen(slide_id, image.uris, None)
        where = ", ".join(image.uris) or "it names no file"
        raise UnmatchedError(f"its file is not on this machine, and the store knows no slide there ({where})")


def _path(uri: str) -> Path | None:
    """The file that a URI names on this machine, if it can be one."""
    try:
        path = ClientPath.parse(uri).as_local()
    except ValueError:
        return None
    return path if path.is_absolute() else None


def _identified(path: Path, size: SlideSize | None) -> str:
    """A file's fingerprint, if it is an image of the size that QuPath knows."""
    try:
        slide = open_slide(path, Limits())
    except WsiSamServerError:
        # QuPath reads more formats than we do; the file is the same nevertheless.
        return _fingerprint(path)
    try:
        info = slide.info
    finally:
        slide.close()
    if size is not None and info.size != size:
        raise UnmatchedError(
            f"its file {path} is {info.size.width} x {info.size.height} pixels, and QuPath has {size.width} x "
            f"{size.height}: another file, or a part of it"
        )
    return info.fingerprint


def _fingerprint(path: Path) -> str:
    try:
        return fingerprint(path)
    except (OSError, openslide.OpenSlideError) as error:
        raise UnmatchedError(f"its file {path} cannot be read ({error})") from error
