"""What the store keeps, as plain values: annotations, their revisions, and what may be asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import shapely

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from shapely.geometry.base import BaseGeometry

    from wsisam_server.core.geometry import Box, FieldPair, SlideSize
    from wsisam_server.core.prompt import SlidePrompt

MOST_WINDOWS: Final = 2**31 - 1
"""What every client can count to."""


_BLANKS: Final = "\t\n\v\f\r\x1c\x1d\x1e\x1f \u1680\u2028\u2029\u205f\u3000" + "".join(
    map(chr, (*range(0x2000, 0x2007), *range(0x2008, 0x200B)))
)
"""What Java's String.strip takes away: unlike Python's, not what keeps words together, such as U+00A0."""


@lru_cache(maxsize=4096)
def class_name(name: str) -> str:
    """A class's name in its one form: "Tumor:Positive" is "Tumor: Positive", and " Stroma " is "Stroma".

    QuPath's class is its parts, without blanks about them, written with ": " between (`PathClass.fromString`). An empty
    part, which it refuses, is left out; so the name of a class without any part is empty.
    """
    return ": ".join(filter(None, (part.strip(_BLANKS) for part in name.split(":"))))


@dataclass(frozen=True, slots=True)
class PathClass:
    """A class as QuPath has it.

    Attributes:
        name: with its parents, for example "Tumor: Positive"; however it is given, in the form of `class_name`.
        rgb: its colour, 0xRRGGBB, or None when nobody said.
    """

    name: str
    rgb: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", class_name(self.name))

    @property
    def ignored(self) -> bool:
        """Whether it says where something is, or what does not count, and not what it is: QuPath's Region* and Ignore*.

        QuPath itself leaves such classes out when it trains, as `PathClassTools.isIgnoredClass` tells them.
        """
        return self.name.endswith("*")


@dataclass(frozen=True, slots=True)
class Level:
    """A scale at which a model looked at an object.

    Attributes:
        downsample: level-0 pixels per pixel of its windows.
        windows: how many of them were asked.

    Raises:
        ValueError: downsample is not finite or not positive, or windows is negative or more than `MOST_WINDOWS`.
    """

    downsample: float
    windows: int

    def __post_init__(self) -> None:
        if not 0 < self.downsample < math.inf:
            raise ValueError(f"Level needs a finite downsample > 0, not {self.downsample}")
        if not 0 <= self.windows <= MOST_WINDOWS:
            raise ValueError(f"Level needs 0 to {MOST_WINDOWS} windows, not {self.windows}")


def kept_levels(scales: Iterable[Level]) -> tuple[Level, ...]:
    """What `Provenance` keeps of an answer's scales: nothing where its field's is the only one."""
    kept = tuple(scales)
    return kept if len(kept) > 1 else ()


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a model made an outline: enough to make it again with another one.

    Attributes:
        model: its name.
        weights_hash: SHA-256 over its tensors, hexadecimal.
        prompt: all that the annotator said, in slide coordinates.
        field: the two patches that the model read.
        score: the mask's IoU as the model expected it.
        levels: where the border was refined in finer windows, the scales at which it was looked at, the field's first;
            empty where it was not.
    """

    model: str
    weights_hash: str
    prompt: SlidePrompt | None = None
    field: FieldPair | None = None
    score: float | None = None
    levels: tuple[Level, ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """All that a person or a model says about one object.

    Attributes:
        slide_id: the slide's fingerprint, or a stable name for an image that only clients can open.
        shape: point, line or polygon, or several of one kind, in level-0 pixels of the slide.
        path_class: None when it has none.
        rgb: its own colour, 0xRRGGBB, in place of its class's; None when it has none.
        name: what QuPath's annotation list shows; may be empty.
        project: which QuPath project, or other piece of work, it belongs to; may be empty.
        locked: whether QuPath keeps it from being edited by accident.
        measurements: finite numbers by name.
        metadata: texts by key.
        provenance: None when a person drew it.
    """

    slide_id: str
    shape: BaseGeometry
    path_class: PathClass | None = None
    rgb: int | None = None
    name: str = ""
    project: str = ""
    locked: bool = False
    measurements: Mapping[str, float] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    provenance: Provenance | None = None


class ChangeKind(Enum):
    """What made a revision. The numbers are kept in the database."""

    SAVED = 1
    DELETED = 2
    RESTORED = 3


@dataclass(frozen=True, slots=True)
class Annotation:
    """An annotation as of one revision.

    Attributes:
        id: the object's UUID, the same in QuPath.
        revision: number of the change that made it so; the numbers of one store's changes go up, over all annotations.
        kind: what that change was. A deletion keeps the content that was deleted.
        content: what it says.
        author: who made this revision.
        creator: who made the first one.
        create_time: when, by the clock of the machine that stored it (UTC).
        update_time: when this revision was made.
    """

    id: uuid.UUID
    revision: int
    kind: ChangeKind
    content: Content
    author: str
    creator: str
    create_time: datetime
    update_time: datetime

    @property
    def deleted(self) -> bool:
        """Whether it is gone as of this revision."""
        return self.kind is ChangeKind.DELETED


@dataclass(frozen=True, slots=True)
class Draft:
    """An annotation to be saved.

    Attributes:
        id: made by whoever made the object.
        content: what it shall say.
        expected: the revision that the change was made to; 0 when it is new.
    """

    id: uuid.UUID
    content: Content
    expected: int = 0


PATCH_FIELDS: Final = frozenset(
    {"shape", "path_class", "rgb", "name", "project", "locked", "measurements", "metadata", "provenance"}
)
"""What of a `Content` can be changed by itself. An annotation stays on its slide."""

_NO_SHAPE: Final = shapely.Point(0, 0)


@dataclass(frozen=True, slots=True)
class Patch:
    """Some fields of an annotation, to be saved in place of what it has. Its other fields stay as they are.

    Attributes:
        expected: the revision that the change was made to; never 0: a new annotation has no fields that could stay.
        fields: new values of fields of `Content`, by their names; one or more of `PATCH_FIELDS`. Maps are replaced
            whole.
        slide_id: the slide that the annotation is thought to lie on; empty when nobody says.
    """

    id: uuid.UUID
    expected: int
    fields: Mapping[str, Any]
    slide_id: str = ""

    @property
    def content(self) -> Content:
        """A content with these fields and no others; without a shape among them, its shape is some point."""
        return Content(**{"slide_id": self.slide_id, "shape": _NO_SHAPE, **self.fields})


@dataclass(frozen=True, slots=True)
class Target:
    """An annotation to be deleted or restored.

    Attributes:
        expected: the revision that whoever asks has seen.
        revision: to be restored as it was then; None for as it was before it was deleted. Not used by a deletion.
    """

    id: uuid.UUID
    expected: int
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a draft, a patch or a target; or what would.

    Attributes:
        revision: the annotation's latest one; 0 for one that would be new.
        unchanged: it was so already, and no revision was added.
    """

    id: uuid.UUID
    revision: int
    unchanged: bool


@dataclass(frozen=True, slots=True)
class SlideRecord:
    """What the store knows of a slide.

    Attributes:
        uris: where it was seen, as clients name it, the first seen first.
        size: of level 0, or None when nobody said.
    """

    slide_id: str
    uris: tuple[str, ...] = ()
    size: SlideSize | None = None


@dataclass(frozen=True, slots=True)
class SlideSummary:
    """A slide that holds annotations which somebody may see.

    Attributes:
        annotations: how many of them there are; deleted ones do not count.
        revision: the newest that any of them has; a deletion counts.
    """

    slide: SlideRecord
    annotations: int
    revision: int


@dataclass(frozen=True, slots=True)
class AnnotationFilter:
    """Which annotations: those that agree with everything that is not None.

    Attributes:
        slide_id: on this slide.
        uri: on a slide that was seen there.
        project: of this project; "" for those of none.
        author: their revision made by this author.
        path_class: of this class (its name, in any form of it); "" for those of none.
        region: whose bounding box meets this one, level-0 pixels.
    """

    slide_id: str | None = None
    uri: str | None = None
    project: str | None = None
    author: str | None = None
    path_class: str | None = None
    region: Box | None = None

    def __post_init__(self) -> None:
        if self.path_class is not None:
            object.__setattr__(self, "path_class", class_name(self.path_class))


@dataclass(frozen=True, slots=True)
class Scope:
    """Which annotations somebody may see and change: those that they made first, and those of their projects.

    It goes by the annotation as it is: one that is moved into a project is its members' with its whole history, and one
    that is moved out is theirs no more.

    Attributes:
        owners: whose own annotations are in it; the names that one person's changes go by.
        projects: names; "" for no project is in none of them.
    """

    owners: frozenset[str]
    projects: frozenset[str]

    def holds(self, creator: str, project: str) -> bool:
        """Whether an annotation is in it."""
        return creator in self.owners or project in self.projects

    def takes(self, project: str) -> bool:
        """Whether annotations may be put into a project, or into none."""
        return not project or project in self.projects


@dataclass(frozen=True, slots=True)
class Page:
    """A part of an answer, in the order of revisions.

    Attributes:
        revision: everything up to here has been considered: ask for what comes after it.
        complete: there was nothing more when the page was read.
    """

    annotations: tuple[Annotation, ...]
    revision: int
    complete: bool
