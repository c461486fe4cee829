"""What was found in a file, and stable ids for what has none."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from wsisam_server.store import Draft, digest

if TYPE_CHECKING:
    from wsisam_server.store import Content

_NAMESPACE: Final = uuid.UUID("7d1a4d5e-6f5b-5f0c-9a53-3f0d0a2c8a11")


@dataclass(slots=True)
class Found:
    """What a file holds.

    Attributes:
        drafts: its annotations, as new ones.
        left_out: what else it holds, in words, and how often.
    """

    drafts: list[Draft] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    _taken: set[uuid.UUID] = field(default_factory=set)

    def add(self, content: Content, annotation_id: uuid.UUID | None) -> None:
        """Adds an annotation; one without an id gets one that follows from its content.

        So a file that is read again brings the same annotations, not new ones. A class whose name says nothing is none.
        """
        if content.path_class is not None and not content.path_class.name:
            content = replace(content, path_class=None)
        draft = Draft(annotation_id or self._made(content), content)
        self.drafts.append(draft)
        self._taken.add(draft.id)

    def _made(self, content: Content) -> uuid.UUID:
        said = digest(content).hex()
        number = 0
        while (made := uuid.uuid5(_NAMESPACE, f"{said} {number}")) in self._taken:
            number += 1
        return made
