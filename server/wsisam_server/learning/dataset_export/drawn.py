"""What a data set is made of: slides with what is drawn on them, wherever it was kept."""

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
class Drawn:
    """One annotation.

    Attributes:
        id: its UUID.
        shape: in level-0 pixels of the slide.
        version: what tells it from the same annotation at another time: the store's revision, or a digest.
        class_name: empty when it has none.
        author: who made that version; empty when nobody said.
        model: what drew it; empty when a person did.
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
class DrawnSlide:
    """A slide, and what is drawn on it.

    Attributes:
        name: for people.
        uris: where it was seen.
        identity: its fingerprint; None when that is not known.
        size: of level 0, if known.
        objects: in a stable order.
    """

    name: str
    uris: tuple[str, ...]
    objects: tuple[Drawn, ...]
    identity: str | None = None
    size: SlideSize | None = None


@dataclass(frozen=True, slots=True)
class Gathered:
    """All that was found.

    Attributes:
        slides: those with at least one object.
        source: what it was found in, for the record: plain values.
        left_out: what cannot be used, in words, and how often.
        missing: images that cannot be used, and why.
    """

    slides: tuple[DrawnSlide, ...]
    source: dict[str, Any]
    left_out: Counter[str] = field(default_factory=Counter)
    missing: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which classes make objects.

    Attributes:
        classes: only these, "" for none; all if empty. One that is named here is never ignored.
        ignored: also those that QuPath ignores, as Region* and Ignore*: they say where to look, or what does not count.
    """

    classes: Collection[str] = ()
    ignored: bool = False

    def of(self, objects: Iterable[Drawn], left_out: Counter[str]) -> tuple[Drawn, ...]:
        """Those of a slide's annotations; what is ignored is counted, and what was not asked for is not."""
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
