"""Files of annotations, read for the commands that take some: what they hold, and what of it is left out."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from wsisam.v1 import segmentation_pb2 as pb
from wsisam_server.annotations.formats import FormatError, FrameError, archives, reading
from wsisam_server.client import areas
from wsisam_server.core.errors import WsiSamServerError
from wsisam_server.core.settings import Limits
from wsisam_server.core.shapes import polygonal
from wsisam_server.slides import open_slide

if TYPE_CHECKING:
    import uuid
    from collections import Counter
    from pathlib import Path

    import shapely

    from wsisam_server.annotations.formats.reading import Origin
    from wsisam_server.annotations.store import Content, Draft


@dataclass(frozen=True, slots=True)
class FileEntry:
    """An annotation out of a file.

    Attributes:
        draft: the annotation.
        place: where it was found, in words.
    """

    draft: Draft
    place: str

    def under(self, annotation_id: uuid.UUID) -> FileEntry:
        """The same annotation with another id."""
        return replace(self, draft=replace(self.draft, id=annotation_id))


def read_annotations(
    path: Path,
    slide_id: str = "",
    project: str = "",
    *,
    origin: Origin = lambda: None,
    kind: str = "auto",
    hint: str = "import it with 'wsisam import', and export it again",
) -> tuple[list[FileEntry], int]:
    """The annotations in a file, and how many objects were left out; says which, and what else was not read.

    Args:
        path: the file, perhaps an archive.
        slide_id: the slide that they are on.
        project: what they belong to.
        origin: see `reading.read`.
        kind: see `reading.read`.
        hint: what to do when the origin is needed and not known.

    Raises:
        click.ClickException: nothing can be read.
    """
    try:
        parts = archives.unpacked(path.read_bytes())
    except FormatError as error:
        raise click.ClickException(f"{path}: {error}") from error
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror or 'cannot be read'}") from error
    entries: list[FileEntry] = []
    left_out = 0
    problems = []
    for part in parts:
        where = f"{path}, {part.name}" if part.name else str(path)
        try:
            if part.problem:
                raise FormatError(part.problem)  # noqa: TRY301 - told as others
            found = reading.read(part.data, slide_id, project, origin=origin, kind=kind)
        except FrameError as error:
            raise click.ClickException(f"{where}: {error}; {hint}") from error
        except FormatError as error:
            problems.append(f"{where}: {error}")
            continue
        say(where, found.left_out, found.ignored, found.problems)
        entries += map(FileEntry, found.drafts, (f"{where}, {place}" for place in found.positions))
        left_out += found.left_out.total()
    if len(problems) == len(parts):
        raise click.ClickException(problems[0] + _more(len(problems) - 1, "file"))
    for problem in problems:
        click.echo(f"left out: a whole file: {problem}", err=True)
    return entries, left_out


def areas_in(path: Path, slide: Path) -> list[shapely.MultiPolygon]:
    """The areas in a file, one for each object, as they were drawn.

    Args:
        path: the file.
        slide: where XML of ImageScope counts from may have to be looked up in it.

    Raises:
        click.ClickException: nothing can be read.
    """
    return [polygonal(one.shape) for one in _with_areas(path, slide)]


def exemplars_in(path: Path, slide: Path, label: pb.ExemplarLabel.ValueType) -> list[pb.Exemplar]:
    """The areas in a file as exemplars, with their classes.

    Args:
        path: the file.
        slide: see `areas_in`; they are on it.
        label: what they show.

    Raises:
        click.ClickException: nothing can be read, or no area is in it.
    """
    found = []
    for one in _with_areas(path, slide):
        message = pb.Exemplar(geometry=areas(polygonal(one.shape)), label=label)
        if one.path_class is not None:
            message.path_class.name = one.path_class.name
        found.append(message)
    if not found:
        raise click.ClickException(f"{path}: it holds no areas to show what is wanted")
    return found


def _with_areas(path: Path, slide: Path) -> list[Content]:
    entries, _ = read_annotations(path, origin=lambda: frame_origin(slide))
    contents = (entry.draft.content for entry in entries)
    return [one for one in contents if one.shape.geom_type in {"Polygon", "MultiPolygon"}]


def say(where: str, left_out: Counter[str], ignored: Counter[str], problems: list[str]) -> None:
    """Says what was left out of a file and what was ignored, with the first few problems one by one."""
    for problem in problems:
        click.echo(f"{where}: {problem}", err=True)
    for what, count in left_out.items():
        click.echo(f"{where}: left out: {count} {what}", err=True)
    for what, count in ignored.items():
        click.echo(f"{where}: ignored {count} times: {what}; the annotations are kept", err=True)


def frame_origin(slide: Path) -> tuple[float, float] | None:
    """Where a slide begins in its whole scanned frame; None when its file is not here or cannot be opened."""
    try:
        with closing(open_slide(slide.resolve(), Limits())) as opened:
            return opened.info.frame_origin
    except (WsiSamServerError, OSError):
        return None


def _more(count: int, what: str) -> str:
    return f" (and {count} more {what}s)" if count else ""
