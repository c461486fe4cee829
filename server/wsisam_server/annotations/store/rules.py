"""What a change does to an annotation: pure decisions, apart from any database."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


@dataclass(frozen=True, slots=True)
class Head:
    """An annotation as it is.

    Attributes:
        revision: its latest one.
        deleted: whether that is a deletion.
        digest: of its content, see `record.digest`.
    """

    revision: int
    deleted: bool
    digest: bytes


class Verdict(Enum):
    """What becomes of a change."""

    STORE = auto()
    """It is stored as a new revision."""
    UNCHANGED = auto()
    """It is so already."""
    CONFLICT = auto()
    """It was made to a revision that is not the latest."""
    UNKNOWN = auto()
    """There is no such annotation."""


def saving(head: Head | None, expected: int, digest: bytes) -> Verdict:
    """What saving does. What is so already is no conflict: two who want the same agree.

    Args:
        head: the annotation as it is; None when there is none.
        expected: the revision that the draft was made to, 0 for a new one.
        digest: of the draft's content; of a patch, of the content as it is with the patch's fields.
    """
    if head is None:
        return Verdict.STORE if expected == 0 else Verdict.UNKNOWN
    if not head.deleted and head.digest == digest:
        return Verdict.UNCHANGED
    return _compared(head, expected)


def deleting(head: Head | None, expected: int) -> Verdict:
    """What deleting does."""
    if head is None:
        return Verdict.UNKNOWN
    return Verdict.UNCHANGED if head.deleted else _compared(head, expected)


def restoring(head: Head | None, expected: int, digest: bytes | None) -> Verdict:
    """What restoring does.

    Args:
        head: the annotation as it is.
        expected: the revision that whoever restores has seen.
        digest: of the content to be restored; None when no revision of the annotation was found to restore.
    """
    if head is None or digest is None:
        return Verdict.UNKNOWN
    return saving(head, expected, digest)


def _compared(head: Head, expected: int) -> Verdict:
    return Verdict.STORE if head.revision == expected else Verdict.CONFLICT
