"""What sync moves about, as plain values: objects as both sides can hold them, and what may differ between them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Final

from wsisam_server.annotations.store.model import Content
from wsisam_server.annotations.store.shape import canonical
from wsisam_server.annotations.sync.digest import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shapely.geometry.base import BaseGeometry

    from wsisam_server.annotations.store import PathClass
    from wsisam_server.core.geometry import SlideSize


class Kind(Enum):
    """In what two versions of an object differ."""

    GEOMETRY = "geometry"
    CLASS = "class"
    NAME = "name"
    COLOUR = "colour"
    LOCK = "lock"
    MEASUREMENTS = "measurements"
    METADATA = "metadata"


SUBSTANCE: Final = frozenset({Kind.GEOMETRY, Kind.CLASS, Kind.NAME})
"""What two people can disagree about. The rest goes along: it is merged, and what QuPath has wins."""


_SHOWN: Final = 60
"""Characters of a name that tell an object from others."""


def label(name: str | None, class_name: str | None) -> str:
    """What people call an object: its name and its class, as far as it has them."""
    shown = [text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..." for text in (name, class_name) if text]
    return ", ".join(shown)


@dataclass(frozen=True)
class Drawing:
    """One object as both a QuPath project and the store can hold it.

    Attributes:
        shape: point, line or polygon, or several of one kind, in level-0 pixels of the slide; valid.
        path_class: None when it has none.
        rgb: its own colour, 0xRRGGBB, in place of its class's; None when it has none.
        name: may be empty.
        locked: whether QuPath keeps it from being edited by accident.
        measurements: finite numbers by name.
        metadata: texts by key.
    """

    shape: BaseGeometry
    path_class: PathClass | None = None
    rgb: int | None = None
    name: str = ""
    locked: bool = False
    measurements: Mapping[str, float] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, content: Content) -> Drawing:
        """What a project can hold of a stored annotation."""
        return cls(
            shape=content.shape,
            path_class=content.path_class,
            rgb=content.rgb,
            name=content.name,
            locked=content.locked,
            measurements=content.measurements,
            metadata=content.metadata,
        )

    @property
    def label(self) -> str:
        """What people call it; may be empty."""
        return label(self.name, None if self.path_class is None else self.path_class.name)

    def new(self, slide_id: str, project: str) -> Content:
        """The content of an annotation that a person drew."""
        return self.onto(Content(slide_id=slide_id, shape=self.shape, project=project))

    def onto(self, content: Content) -> Content:
        """A content with this drawing in place of its own; how it was made, and for which project, stays."""
        path_class = self.path_class
        if path_class is not None and path_class.rgb is None and content.path_class is not None:
            path_class = replace(path_class, rgb=content.path_class.rgb)
        return replace(
            content,
            shape=canonical(self.shape),
            path_class=path_class,
            rgb=self.rgb,
            name=self.name,
            locked=self.locked,
            measurements=dict(self.measurements),
            metadata=dict(self.metadata),
        )

    @cached_property
    def digest(self) -> str:
        """32 hex digits that tell whether anything, if only a vertex's order, is not as it was."""
        return digest(self)


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a project.

    Attributes:
        id: the entry's number in the project, as text; its folder's name.
        name: as QuPath shows it.
        uris: of its file or files.
        size: of level 0 as QuPath knows it, or None when it does not say.
        view: empty for a whole image as its file has it; else what the project makes of it ("rotated", "cropped"), by
            which coordinates are not the slide's.
        problem: why nothing can be done about it, for people; empty when something can.
    """

    id: str
    name: str
    uris: tuple[str, ...]
    size: SlideSize | None = None
    view: str = ""
    problem: str = ""
