"""Finds the files of slides on this machine, and makes sure that they are the ones."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.core.settings import Limits
from wsisam_server.learning.dataset_export.errors import DatasetExportError
from wsisam_server.learning.dataset_export.from_store import file_name
from wsisam_server.slides import open_slide
from wsisam_server.slides.client_path import ClientPath

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from wsisam_server.learning.dataset_export.annotation_set import AnnotatedSlide
    from wsisam_server.slides import Slide


class SlideFinder:
    """Opens slides. Where a file lies helps to find it; what it holds decides whether it is the one.

    Args:
        folders: searched, with all folders in them, for files of a slide's name that are not where they were seen.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._folders = tuple(folders)

    def open(self, wanted: AnnotatedSlide) -> Slide:
        """Opens a slide.

        Raises:
            DatasetExportError: no file is it; the text says what was found.
        """
        return self._found(wanted)[1]

    def find(self, wanted: AnnotatedSlide) -> Path:
        """The file of a slide.

        Raises:
            DatasetExportError: no file is it; the text says what was found.
        """
        path, slide = self._found(wanted)
        slide.close()
        return path

    def _found(self, wanted: AnnotatedSlide) -> tuple[Path, Slide]:
        problems = []
        for path in self._candidates(wanted):
            try:
                slide = open_slide(path, Limits())
            except WsiSamServerError as error:
                problems.append(f"{path}: {error.public_text}")
                continue
            problem = _not_the_one(wanted, slide)
            if problem is None:
                return path, slide
            slide.close()
            problems.append(f"{path} {problem}")
        if problems:
            raise DatasetExportError("; ".join(problems))
        seen = ", ".join(wanted.uris) or "nobody said where its file is"
        raise DatasetExportError(f"its file is not on this machine ({seen}); name a folder that holds it with --slides")

    def _candidates(self, wanted: AnnotatedSlide) -> Iterator[Path]:
        tried = set()
        here = [path for path in map(local_path, wanted.uris) if path is not None]
        names = {file_name(uri) for uri in wanted.uris} or {wanted.name}
        elsewhere = [path for name in sorted(names) for path in self._by_name.get(name, ())]
        for path in (*here, *elsewhere):
            if path not in tried and path.is_file():
                tried.add(path)
                yield path

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        found = defaultdict(list)
        for folder in self._folders:
            for path in sorted(folder.rglob("*")):
                found[path.name].append(path)
        return found


def local_path(uri: str) -> Path | None:
    """The file that a URI names on this machine, if it can be one."""
    try:
        path = ClientPath.parse(uri).as_local()
    except ValueError:
        return None
    return path if path.is_absolute() else None


def _not_the_one(wanted: AnnotatedSlide, slide: Slide) -> str | None:
    info = slide.info
    if wanted.identity is not None and info.fingerprint != wanted.identity:
        return "is another file than the one that was annotated"
    if wanted.size is not None and info.size != wanted.size:
        return (
            f"is {info.size.width} x {info.size.height} pixels, and the annotated slide {wanted.size.width} x "
            f"{wanted.size.height}"
        )
    return None
