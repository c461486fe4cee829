"""Which slide an image of a project shows: by its URI, or by name, size and fingerprint of the file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import openslide

from wsisam_server.annotations.store import AnnotationFilter
from wsisam_server.annotations.sync.errors import SyncError
from wsisam_server.annotations.sync.record import SlideSeen
from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.core.files import moved_along
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
    """Finds the slides of a project's images. What a file holds counts, and never its name.

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
        if not image.uris:
            raise UnmatchedError("the project does not say which file it shows")
        seen = seen if seen is not None and seen.uris == image.uris else None
        for path in filter(None, map(_path, image.uris)):
            if path.is_file():
                return self._of_file(path, image, seen)
        known = self._known(image, seen)
        for path in self._moved(image):
            # A project that was moved with its slides, as QuPath proposes it, too. What is known goes before that.
            if not known or self._identity(path, image, seen) in known:
                return self._of_file(path, image, seen)
        beside = [self._folder / path.name for path in map(_path, image.uris) if path is not None]
        for path in beside:
            if path.is_file() and self._identity(path, image, seen) in known:
                return self._of_file(path, image, seen)
        return self._by_uri(image, seen, next(filter(Path.is_file, beside), None))

    def _of_file(self, path: Path, image: Image, seen: SlideSeen | None) -> SlideSeen:
        file = _file(path)
        if seen is not None and seen.file == file:
            return seen
        identity = _identified(path, image.size)
        slide_id = self._known_as(identity, image)
        by_content = seen is not None and seen.file is not None and seen.slide_id not in image.uris
        if seen is not None and by_content and seen.slide_id not in {slide_id, identity}:
            raise UnmatchedError(
                f"the file {path} is not the slide that this image was synced with: what it holds has changed, so "
                "objects could come to lie on the wrong slide. Bring the right file back; if the new one is meant, add "
                "it to the project as another image"
            )
        return SlideSeen(slide_id, image.uris, file)

    def _identity(self, path: Path, image: Image, seen: SlideSeen | None) -> str | None:
        """What a file is that may be the image's; None for one that cannot be."""
        if seen is not None and seen.file == _file(path):
            return seen.slide_id
        try:
            return _identified(path, image.size)
        except UnmatchedError:
            return None

    def _moved(self, image: Image) -> Iterator[Path]:
        """Where the image's file lies if the project was moved together with it."""
        if self._former is None or self._former.parent == self._folder:
            return
        for path in filter(None, map(_path, image.uris)):
            moved = moved_along(path, self._former.parent, self._folder)
            if moved is not None and moved.is_file():
                yield moved

    def _known(self, image: Image, seen: SlideSeen | None) -> set[str]:
        """The slides that this image was found to show, or that were seen where it says, by what they hold."""
        known = set() if seen is None else {seen.slide_id}
        known |= {slide_id for uri in image.uris for slide_id in self._seen_at(uri)}
        return known - set(image.uris)

    def _known_as(self, identity: str, image: Image) -> str:
        """The store's id for a file: its fingerprint, unless the slide is known by its URI alone.

        Clients whose server cannot open a slide, and who cannot read its file, name it by its URI.
        """
        if self._store.slides([identity]):
            return identity
        records = self._store.slides(image.uris)
        return next((record.slide_id for record in records if _same_size(record.size, image.size)), identity)

    def _by_uri(self, image: Image, seen: SlideSeen | None, beside: Path | None) -> SlideSeen:
        """Where the file is not on this machine, what others know of it must do."""
        if seen is not None:
            (record,) = self._store.slides([seen.slide_id]) or (None,)
            if record is None or record.size is None or image.size in {None, record.size}:
                return seen
        for uri in image.uris:
            for slide_id in self._seen_at(uri):
                if any(_same_size(record.size, image.size) for record in self._store.slides([slide_id])):
                    return SlideSeen(slide_id, image.uris, None)
        where = ", ".join(image.uris)
        text = f"its file is not on this machine, and the store knows no slide of its size there ({where})"
        if beside is not None:
            text += (
                f". A file of that name lies beside the project ({beside}), but nothing says that it is the same "
                "slide. If it is, say so in QuPath (File, Project, Check project URIs)"
            )
        raise UnmatchedError(text)

    def _seen_at(self, uri: str) -> Iterator[str]:
        """The slide that the store knows at a place, if it knows one."""
        page = self._store.listing(AnnotationFilter(uri=uri), after=0, limit=1, deleted=True)
        for annotation in page.annotations:
            yield annotation.content.slide_id


def _same_size(first: SlideSize | None, second: SlideSize | None) -> bool:
    """Whether both are known and the same: a place alone does not make two images one slide."""
    return first is not None and first == second


def _file(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns


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
