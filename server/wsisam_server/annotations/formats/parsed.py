"""What was found in a file, and stable ids for what has none."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from wsisam_server.annotations.store import Draft, digest

if TYPE_CHECKING:
    from wsisam_server.annotations.store import Content

_NAMESPACE: Final = uuid.UUID("7d1a4d5e-6f5b-5f0c-9a53-3f0d0a2c8a11")

MAX_PROBLEMS: Final = 10
"""Problems of one file that are named one by one; all are counted."""

_LONGEST: Final = 60
"""Characters of a name or a type out of a file that are shown."""


@dataclass(slots=True)
class ParsedFile:
    """What a file holds. Every object in it is either a draft or left out.

    Attributes:
        drafts: its annotations, as new ones.
        positions: where each of them is in the file, in words, in the same order.
        left_out: what else it holds, in words, and how often.
        ignored: values of annotations that could not be read, in words, and how often; the annotations are drafts.
        problems: the first few of both, one by one: where, and what is wrong.
    """

    drafts: list[Draft] = field(default_factory=list)
    positions: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    _taken: set[uuid.UUID] = field(default_factory=set)

    def add(self, content: Content, annotation_id: uuid.UUID | None, position: str = "") -> None:
        """Adds an annotation; one without an id gets one that follows from its content.

        So a file that is read again brings the same annotations, not new ones. A class whose name says nothing is none.
        """
        if content.path_class is not None and not content.path_class.name:
            content = replace(content, path_class=None)
        draft = Draft(annotation_id or self._made(content), content)
        self.drafts.append(draft)
        self.positions.append(position)
        self._taken.add(draft.id)

    def leave_out(self, what: str, position: str = "", why: str = "") -> None:
        """Counts an object that is not taken.

        Args:
            what: of which kind, in the plural.
            position: where it is in the file.
            why: what is wrong with it; nothing when it is only of no use here.
        """
        self.left_out[what] += 1
        self._note(position, why)

    def ignore(self, what: str, position: str = "", why: str = "") -> None:
        """Counts a value that costs only itself; see `leave_out`."""
        self.ignored[what] += 1
        self._note(position, why)

    def _note(self, position: str, why: str) -> None:
        if why and len(self.problems) < MAX_PROBLEMS:
            self.problems.append(f"{position}: {why}")

    def _made(self, content: Content) -> uuid.UUID:
        said = digest(content).hex()
        number = 0
        while (made := uuid.uuid5(_NAMESPACE, f"{said} {number}")) in self._taken:
            number += 1
        return made


def replacement_id(slide_id: str, taken: uuid.UUID, number: int) -> uuid.UUID:
    """An id in place of one that another annotation has.

    It follows from its arguments, so that a file that is imported again brings the same annotations.

    Args:
        slide_id: where the annotation lies.
        taken: the id in its file.
        number: 0 for an id that is taken on another slide, n for the nth repetition of it in one file.
    """
    return uuid.uuid5(_NAMESPACE, f"{slide_id} {taken} {number}")


def position_of(kind: str, number: int, written_id: object = None, name: object = None) -> str:
    """Where an object is in its file, for whoever has the file open: "feature 3 (id 5, 'name')"."""
    said = []
    if isinstance(written_id, str | int) and written_id != "":
        said.append(f"id {short(written_id)}")
    if isinstance(name, str | int) and name != "":
        said.append(f"'{short(name)}'")
    return f"{kind} {number}" + (f" ({', '.join(said)})" if said else "")


def short(value: object) -> str:
    """A text out of a file, as it may be shown: one line, not too long."""
    try:
        text = str(value)[: _LONGEST + 1]
    except (ValueError, RecursionError):  # a number of thousands of digits, or what is nested as deeply
        return "..."
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
