"""An annotation set: annotated slides, from a store or a QuPath project, whose objects become labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from wsisam_server.annotations.store import PathClass, class_name

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Iterable

    from shapely.geometry.base import BaseGeometry

    from wsisam_server.core.geometry import SlideSize


_IGNORED: Final = "of a class that QuPath ignores, since its name ends in *"


@dataclass(frozen=True, slots=True)
class LabelSource:
    """The source of a label: one annotation.

    Attributes:
        id: its UUID.
        shape: in level-0 pixels of the slide.
        version: identifies its state: the store's revision, or a digest.
        class_name: empty when it has none.
        author: who made that version; empty if unknown.
        model: the model that drew it; empty for a person.
        weights_hash: of that model.
    """

    id: uuid.UUID
    shape: BaseGeometry
    version: str
    class_name: str = ""
    author: str = ""
    model: str = ""
    weights_hash: str = ""


@dataclass(frozen=True, slots=True)
class AnnotatedSlide:
    """A slide with its annotations.

    Attributes:
        name: for people.
        uris: where its file was seen.
        identity: its fingerprint, if known.
        size: of level 0, if known.
        objects: in a stable order.
    """

    name: str
    uris: tuple[str, ...]
    objects: tuple[LabelSource, ...]
    identity: str | None = None
    size: SlideSize | None = None


@dataclass(frozen=True, slots=True)
class AnnotationSet:
    """All annotations that were found.

    Attributes:
        slides: those with at least one object.
        source: where they were found, for the record: plain values.
        left_out: annotations that cannot be used: reasons and counts.
        missing: images that cannot be used, and why.
        duplicates: images that are not used because another one of the same slide is, and which.
    """

    slides: tuple[AnnotatedSlide, ...]
    source: dict[str, Any]
    left_out: Counter[str] = field(default_factory=Counter)
    missing: dict[str, str] = field(default_factory=dict)
    duplicates: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClassFilter:
    """Selects annotations by their class.

    Attributes:
        classes: only these, "" for none; all if empty. One that is named here is never ignored.
        ignored: include classes that QuPath ignores, such as Region* and Ignore*.
    """

    classes: Collection[str] = ()
    ignored: bool = False

    def of(self, objects: Iterable[LabelSource], left_out: Counter[str]) -> tuple[LabelSource, ...]:
        """The selected annotations of a slide. Ignored ones are counted in `left_out`; other classes are not."""
        named = set(map(class_name, self.classes))
        found = []
        for one in objects:
            if named and one.class_name not in named:
                continue
            if not named and not self.ignored and PathClass(one.class_name).ignored:
                left_out[_IGNORED] += 1
            else:
                found.append(one)
        return tuple(found)
