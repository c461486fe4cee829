"""Decides, for one image, what to do with each annotation: a three-way merge of project, store and last sync. Pure.

Each side is compared with what both held when they were last synced. What one side changed goes to the other. What both
changed to the same is noted; to different things, it is a conflict: each side keeps its own until somebody settles it.
After a plan is carried out, planning again finds nothing to do, and nothing that only one side had is gone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Final

from wsisam_server.annotations.sync.likeness import differences
from wsisam_server.annotations.sync.merge import with_details
from wsisam_server.annotations.sync.model import SUBSTANCE, Drawing, Kind

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Mapping

    from wsisam_server.annotations.store import Annotation


class Direction(Enum):
    """Which side may be changed."""

    BOTH = "both"
    TO_PROJECT = "to-project"
    TO_STORE = "to-server"


class Side(Enum):
    """Whose version a conflict is settled with."""

    STORE = "store"
    QUPATH = "qupath"


class Verb(Enum):
    """What is done with an annotation."""

    ADD_TO_PROJECT = "add to project"
    UPDATE_IN_PROJECT = "update in project"
    REMOVE_FROM_PROJECT = "remove from project"
    ADD_TO_STORE = "add to store"
    REVISE_IN_STORE = "revise in store"
    DELETE_IN_STORE = "delete in store"
    MERGE = "merge in both"
    UNCHANGED = "unchanged"
    CONFLICT = "conflict"


class Note(Enum):
    """What becomes of the record of the last sync when nothing is changed."""

    KEEP = "keep"
    RECORD = "record"
    """Both sides agree, and the record does not say so yet."""
    FORGET = "forget"
    """Neither side has it any more."""


ALL_GONE: Final = 10
"""From so many synced annotations on, an image that has lost all of them is not believed without asking: a data file
that QuPath could not read shows as an empty image, and is emptied when it is saved."""


_DOUBTFUL: Final = (
    "gone from this image, which was saved from an older state than the one that was synced last: it was deleted in "
    "QuPath, or another QuPath had the image open and saved over it"
)


@dataclass(frozen=True, slots=True)
class Base:
    """What both sides held when an annotation was last synced.

    Attributes:
        revision: the store's.
        digest: of the project's version, see `Drawing.digest`.
        drawing: the store's version of that revision, where it is needed (see `needs_base`) and still there.
    """

    revision: int
    digest: str
    drawing: Drawing | None = None


@dataclass(frozen=True)
class Case:
    """One annotation, wherever it is.

    Attributes:
        project: as the project has it; None when it does not.
        store: as the store has it, perhaps deleted; None when it has never heard of it.
        base: None when it was never synced.
        doubtful: that the project lacks it may be because another QuPath saved it meanwhile, see `in_common.held`.
    """

    id: uuid.UUID
    project: Drawing | None
    store: Annotation | None
    base: Base | None = None
    doubtful: bool = False

    @cached_property
    def stored(self) -> Drawing | None:
        """The store's version, unless it is deleted there."""
        return None if self.store is None or self.store.deleted else Drawing.of(self.store.content)

    @property
    def untouched_in_project(self) -> bool:
        """Whether the project's version is what it was, to the last bit."""
        return self.project is not None and self.base is not None and self.project.digest == self.base.digest

    @property
    def untouched_in_store(self) -> bool:
        """Whether the store made no revision of it."""
        return self.store is not None and self.base is not None and self.store.revision == self.base.revision

    @property
    def needs_base(self) -> bool:
        """Whether the last synced version itself must be known: both sides moved on from it."""
        return self.base is not None and not self.untouched_in_project and not self.untouched_in_store

    @property
    def synced(self) -> Drawing | None:
        """The last synced version, if it is known."""
        if self.base is None:
            return None
        if self.store is not None and self.untouched_in_store:
            return Drawing.of(self.store.content)
        return self.project if self.untouched_in_project else self.base.drawing


@dataclass(frozen=True, slots=True)
class Resolution:
    """How conflicts are settled.

    Attributes:
        default: all that are not named; None leaves them.
        by_id: single ones.
    """

    default: Side | None = None
    by_id: Mapping[uuid.UUID, Side] = field(default_factory=dict)

    def of(self, annotation_id: uuid.UUID) -> Side | None:
        """Whose version one conflict is settled with."""
        return self.by_id.get(annotation_id, self.default)


@dataclass(frozen=True, slots=True)
class Action:
    """What to do with one annotation.

    Attributes:
        verb: in a word.
        reason: why, for people.
        kinds: in what the versions differ.
        target: what both sides hold afterwards; None when it is gone from both. Not used by a conflict.
        in_project: the project has to be changed for it.
        in_store: the store has to be changed for it.
        discarded: QuPath's version where the store's wins: it goes into the store's history first.
        held: not done, because the direction does not allow it.
        note: for an action that changes neither side.
    """

    case: Case
    verb: Verb
    reason: str
    kinds: frozenset[Kind] = frozenset()
    target: Drawing | None = None
    in_project: bool = False
    in_store: bool = False
    discarded: Drawing | None = None
    held: bool = False
    note: Note = Note.KEEP

    @property
    def id(self) -> uuid.UUID:
        """The annotation's."""
        return self.case.id

    @property
    def shown(self) -> Drawing:
        """What to name it by: QuPath's version, or else the store's, perhaps a deleted one."""
        if self.case.project is not None:
            return self.case.project
        assert self.case.store is not None
        return Drawing.of(self.case.store.content)

    @property
    def gone(self) -> bool:
        """Whether both sides had it when they were last synced, and neither has it now."""
        return self.verb is Verb.UNCHANGED and self.case.base is not None and self.case.project is None

    @property
    def label(self) -> str:
        """What people call it; empty where neither side knows it any more."""
        return "" if self.case.project is None and self.case.store is None else self.shown.label

    @property
    def to_do(self) -> bool:
        """Whether a side is to be changed now."""
        return (self.in_project or self.in_store) and not self.held


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with all annotations of an image, in the order of their cases."""

    actions: tuple[Action, ...]

    @property
    def conflicts(self) -> tuple[Action, ...]:
        """What somebody has to settle."""
        return tuple(action for action in self.actions if action.verb is Verb.CONFLICT)

    @property
    def held(self) -> tuple[Action, ...]:
        """What waits for another direction."""
        return tuple(action for action in self.actions if action.held)

    def counts(self) -> Counter[Verb]:
        """How many annotations each verb has."""
        return Counter(action.verb for action in self.actions)


def plan(
    cases: Iterable[Case],
    direction: Direction = Direction.BOTH,
    resolution: Resolution | None = None,
    *,
    all_gone: int | None = None,
) -> Plan:
    """Decides about annotations of an image.

    Args:
        cases: those that either side has or had; `Base.drawing` filled in where `Case.needs_base`.
        direction: which side may be changed; what the other would need is held.
        resolution: how to settle conflicts.
        all_gone: how many synced annotations the image has lost, where it has lost all and that is not believed; 0
            where it is. None: the cases are all of the image, and tell it.
    """
    resolution = resolution or Resolution()
    actions = [_decide(case) for case in cases]
    actions = _doubt_mass_deletion(actions, _all_gone(actions) if all_gone is None else all_gone)
    actions = [_settled(action, resolution.of(action.id), direction) for action in actions]
    return Plan(tuple(_held(action, direction) for action in actions))


def finish(case: Case, version: Annotation, direction: Direction) -> Action:
    """What is left to do of a settling with the store's version that was cut off.

    Args:
        case: as it is now.
        version: the store's, that was chosen.
        direction: which side may be changed.
    """
    target = None if version.deleted else Drawing.of(version.content)
    in_project, in_store = _apart(case.project, target), _apart(case.stored, target)
    # QuPath's version is in the history already, if the store has moved on from the one that was chosen.
    kept = case.store is not None and case.store.revision != version.revision
    discarded = None if kept or not in_project else case.project
    verb = Verb.REMOVE_FROM_PROJECT if target is None else Verb.UPDATE_IN_PROJECT
    if not in_project and not in_store:
        note = Note.FORGET if target is None else Note.RECORD
        return Action(case, Verb.UNCHANGED, "settled with the store's version", note=note)
    action = Action(
        case,
        Verb.ADD_TO_PROJECT if case.project is None else verb,
        "settling with the store's version, which was cut off",
        target=target,
        in_project=in_project,
        in_store=in_store or discarded is not None,
        discarded=discarded,
    )
    return _held(action, direction)


def _apart(first: Drawing | None, second: Drawing | None) -> bool:
    if first is None or second is None:
        return first is not second
    return bool(differences(first, second))


def _decide(case: Case) -> Action:
    if case.base is None:
        return _never_synced(case)
    if case.store is None:
        return _lost_by_store(case)
    if case.project is None:
        return _gone_from_project(case)
    if case.store.deleted:
        return _gone_from_store(case)
    return _in_both(case)


def _never_synced(case: Case) -> Action:
    project, stored = case.project, case.stored
    if project is None:
        if stored is None:
            return Action(case, Verb.UNCHANGED, "deleted in the store")
        return Action(case, Verb.ADD_TO_PROJECT, "new in the store", target=stored, in_project=True)
    if case.store is None:
        return Action(case, Verb.ADD_TO_STORE, "new in QuPath", target=project, in_store=True)
    if stored is None:
        return _conflict(case, f"in QuPath, but deleted in the store{_by(case)}")
    kinds = differences(project, stored)
    if kinds & SUBSTANCE:
        reason = (
            f"on both sides, different ({_listed(kinds & SUBSTANCE)}), and not synced before; in the store{_by(case)}"
        )
        return _conflict(case, reason, kinds)
    return _merge(case, project, stored, None, kinds)


def _lost_by_store(case: Case) -> Action:
    if case.project is None:
        return Action(case, Verb.UNCHANGED, "gone from both", note=Note.FORGET)
    reason = "the store does not know it any more"
    return Action(case, Verb.ADD_TO_STORE, reason, target=case.project, in_store=True)


def _gone_from_project(case: Case) -> Action:
    if case.stored is None:
        return Action(case, Verb.UNCHANGED, "deleted on both sides", note=Note.FORGET)
    kinds = _changes(case.stored, case)
    if kinds:
        return _conflict(case, f"deleted in QuPath, changed in the store ({_listed(kinds)}{_by(case)})", kinds)
    if case.doubtful:
        return _conflict(case, _DOUBTFUL)
    return Action(case, Verb.DELETE_IN_STORE, "deleted in QuPath", in_store=True)


def _gone_from_store(case: Case) -> Action:
    assert case.project is not None
    kinds = frozenset() if case.untouched_in_project else _changes(case.project, case)
    if kinds:
        return _conflict(case, f"changed in QuPath ({_listed(kinds)}), deleted in the store{_by(case)}", kinds)
    return Action(case, Verb.REMOVE_FROM_PROJECT, "deleted in the store", in_project=True)


def _in_both(case: Case) -> Action:
    project, stored = case.project, case.stored
    assert project is not None
    assert stored is not None
    if case.untouched_in_project and case.untouched_in_store:
        return Action(case, Verb.UNCHANGED, "as it was")
    apart = differences(project, stored)
    here, there = _changes(project, case) & SUBSTANCE, _changes(stored, case) & SUBSTANCE
    if here and there and apart & SUBSTANCE:
        reason = f"changed in QuPath ({_listed(here)}) and in the store ({_listed(there)}{_by(case)})"
        return _conflict(case, reason, apart)
    return _merge(case, stored if there and not here else project, stored, case.synced, apart)


def _merge(case: Case, winner: Drawing, stored: Drawing, base: Drawing | None, apart: frozenset[Kind]) -> Action:
    """Both sides have it, and at most one changed what people can disagree about."""
    project = case.project
    assert project is not None
    target = with_details(winner, project, stored, base)
    in_project, in_store = bool(differences(target, project)), bool(differences(target, stored))
    if not in_project and not in_store:
        return Action(case, Verb.UNCHANGED, "the same on both sides", note=Note.RECORD)
    if in_project and in_store:
        verb, reason = Verb.MERGE, f"changed on both sides ({_listed(apart)}), without disagreeing"
    elif in_project:
        verb, reason = Verb.UPDATE_IN_PROJECT, f"changed in the store ({_listed(apart)})"
    else:
        verb, reason = Verb.REVISE_IN_STORE, f"changed in QuPath ({_listed(apart)})"
    return Action(case, verb, reason, apart, target, in_project, in_store)


def _changes(drawing: Drawing, case: Case) -> frozenset[Kind]:
    """In what a version is not what was synced. All of it, when that is not known any more."""
    return frozenset(Kind) if case.synced is None else differences(drawing, case.synced)


def _by(case: Case) -> str:
    """Who made the store's version, and when."""
    assert case.store is not None
    return f" by {case.store.author or 'nobody named'}, {case.store.update_time:%Y-%m-%d %H:%M} UTC"


def _conflict(case: Case, reason: str, kinds: frozenset[Kind] = frozenset()) -> Action:
    return Action(case, Verb.CONFLICT, reason, kinds)


def _all_gone(actions: list[Action]) -> int:
    synced = [action for action in actions if action.case.base is not None]
    gone = len(synced) >= ALL_GONE and all(action.case.project is None for action in synced)
    return len(synced) if gone else 0


def _doubt_mass_deletion(actions: list[Action], all_gone: int) -> list[Action]:
    if not all_gone:
        return actions
    reason = f"all {all_gone} synced annotations are gone from this image in QuPath; if you deleted them, settle it so"
    return [_conflict(action.case, reason) if action.verb is Verb.DELETE_IN_STORE else action for action in actions]


def _settled(action: Action, side: Side | None, direction: Direction) -> Action:
    if action.verb is not Verb.CONFLICT or side is None:
        return action
    case = action.case
    if side is Side.QUPATH:
        verb = Verb.DELETE_IN_STORE if case.project is None else Verb.REVISE_IN_STORE
        reason = f"settled with QuPath's version: {action.reason}"
        return replace(action, verb=verb, reason=reason, target=case.project, in_store=True)
    if case.stored is None:
        verb = Verb.REMOVE_FROM_PROJECT
    else:
        verb = Verb.ADD_TO_PROJECT if case.project is None else Verb.UPDATE_IN_PROJECT
    # When the store must not be changed, QuPath's version remains in the backup of the data file alone.
    discarded = None if direction is Direction.TO_PROJECT or case.untouched_in_project else case.project
    return replace(
        action,
        verb=verb,
        reason=f"settled with the store's version: {action.reason}",
        target=case.stored,
        in_project=True,
        in_store=discarded is not None,
        discarded=discarded,
    )


def _held(action: Action, direction: Direction) -> Action:
    excluded = {
        Direction.BOTH: False,
        Direction.TO_PROJECT: action.in_store,
        Direction.TO_STORE: action.in_project,
    }
    return replace(action, held=True) if excluded[direction] else action


def _listed(kinds: frozenset[Kind]) -> str:
    return ", ".join(kind.value for kind in Kind if kind in kinds)
