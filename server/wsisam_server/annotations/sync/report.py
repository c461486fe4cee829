"""What a sync did, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from wsisam_server.annotations.sync.plan import Verb

if TYPE_CHECKING:
    from datetime import datetime

    from wsisam_server.annotations.sync.model import Image
    from wsisam_server.annotations.sync.plan import Action


class Outcome(Enum):
    """What became of an image."""

    SKIPPED = "skipped"
    """Neither its data file nor the store had anything new; it was not read."""
    SYNCED = "synced"
    PLANNED = "planned"
    """Nothing was done, as asked."""
    UNMATCHED = "no slide"
    FAILED = "failed"


@dataclass(slots=True)
class ImageReport:
    """What became of one image.

    Attributes:
        slide_id: of the slide that it shows; empty when none was found.
        actions: what was done, or is to be done; without what is unchanged.
        unchanged: so many annotations were as they should be.
        gone: for people: what both sides had when they were last synced, and neither has now.
        saved: when QuPath last saved the image, as far as that was looked at.
        problems: for people: what was left out, and why.
        failures: for people: what should have been done and could not be.
    """

    image: Image
    outcome: Outcome
    slide_id: str = ""
    actions: list[Action] = field(default_factory=list)
    unchanged: int = 0
    gone: list[str] = field(default_factory=list)
    saved: datetime | None = None
    problems: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def conflicts(self) -> list[Action]:
        """What somebody has to settle."""
        return [action for action in self.actions if action.verb is Verb.CONFLICT]

    def count(self, verb: Verb) -> int:
        """How many annotations a verb has; those that the direction holds back do not count."""
        if verb is Verb.UNCHANGED:
            return self.unchanged
        return sum(action.verb is verb and not action.held for action in self.actions)

    @property
    def held(self) -> int:
        """How many changes wait for another direction."""
        return sum(action.held for action in self.actions)

    def as_json(self) -> dict[str, Any]:
        """As a program reads it."""
        return {
            "id": self.image.id,
            "name": self.image.name,
            "outcome": self.outcome.value,
            "slide_id": self.slide_id or None,
            "counts": {verb.value: self.count(verb) for verb in Verb},
            "held": self.held,
            "deleted_on_both_sides": self.gone,
            "saved": None if self.saved is None else self.saved.isoformat(),
            "annotations": [_action(action) for action in self.actions],
            "problems": self.problems,
            "failures": self.failures,
        }


@dataclass(slots=True)
class Report:
    """What a sync did.

    Attributes:
        project: its file.
        store: as people name it.
        notes: for people: what concerns the whole project.
    """

    project: str
    store: str
    dry_run: bool
    images: list[ImageReport] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def conflicts(self) -> int:
        """How many annotations somebody has to settle."""
        return sum(len(image.conflicts) for image in self.images)

    @property
    def failed(self) -> bool:
        """Whether an image could not be synced, or an annotation could not be stored."""
        return any(image.failures for image in self.images)

    @property
    def status(self) -> int:
        """The exit status: 0 in sync, 1 conflicts remain, 2 something failed."""
        return 2 if self.failed else 1 if self.conflicts else 0

    def as_json(self) -> dict[str, Any]:
        """As a program reads it."""
        return {
            "project": self.project,
            "store": self.store,
            "dry_run": self.dry_run,
            "status": self.status,
            "conflicts": self.conflicts,
            "images": [image.as_json() for image in self.images],
            "notes": self.notes,
        }


def _action(action: Action) -> dict[str, Any]:
    said = action.shown
    return {
        "id": str(action.id),
        "name": said.name,
        "class": None if said.path_class is None else said.path_class.name,
        "action": action.verb.value,
        "reason": action.reason,
        "store_author": None if action.case.store is None else action.case.store.author,
        "store_updated": None if action.case.store is None else action.case.store.update_time.isoformat(),
        "differs": sorted(kind.value for kind in action.kinds),
        "held": action.held,
    }
