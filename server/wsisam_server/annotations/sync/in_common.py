"""What both sides have in common after a sync: one rule, for `wsisam sync` and for a client that holds an image.

A record says of each annotation which revision of the store, and what in the image, both sides last agreed on. Whoever
keeps that record asks here what of it is new. An annotation of which nothing is said keeps what its record has: the
next sync compares with that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsisam_server.annotations.sync.plan import Base, Note, Verb

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from wsisam_server.annotations.sync.common_record import Common
    from wsisam_server.annotations.sync.model import Drawing
    from wsisam_server.annotations.sync.plan import Action
    from wsisam_server.annotations.sync.store_side import Applied


def agreed(actions: Iterable[Action], applied: Applied) -> Iterator[tuple[uuid.UUID, int | None]]:
    """Each annotation on which both sides agree once the actions are done, as far as the record may not say so yet.

    Args:
        actions: of a plan.
        applied: what became of them in the store, and which of them could not be done.

    Yields:
        Its id, and the store's revision; None where neither side has it.
    """
    for action in actions:
        if action.id in applied.refused or action.held or action.verb is Verb.CONFLICT:
            continue
        if action.target is None if action.to_do else action.note is Note.FORGET:
            yield action.id, None
        elif action.to_do or action.note is Note.RECORD:
            stored = action.case.store
            yield action.id, applied.revisions.get(action.id, 0 if stored is None else stored.revision)


def recorded(
    before: Mapping[uuid.UUID, Base],
    actions: Iterable[Action],
    applied: Applied,
    drawings: Mapping[uuid.UUID, Drawing],
) -> dict[uuid.UUID, Base]:
    """The record after a sync.

    Args:
        before: the record.
        actions: see `agreed`.
        applied: see `agreed`.
        drawings: what the image holds after the sync.
    """
    bases = dict(before)
    for one, revision in agreed(actions, applied):
        if revision is None or one not in drawings:
            bases.pop(one, None)
        else:
            bases[one] = Base(revision, drawings[one].digest)
    return bases


def arrived(sent: Mapping[uuid.UUID, str], find: Callable[[uuid.UUID, str], int | None]) -> dict[uuid.UUID, Base]:
    """What a sync that was cut off had brought to the store: the image held it, and so does the store's history.

    Without this, what is deleted in the image after such a sync would come back, as if the store alone had it.

    Args:
        sent: see `Common.sent`.
        find: called with an annotation's id and a digest: the store's revision of that content, None for none.
    """
    found = ((one, digest, find(one, digest)) for one, digest in sent.items())
    return {one: Base(revision, digest) for one, digest, revision in found if revision is not None}


def held(common: Common, here: Mapping[uuid.UUID, Drawing]) -> tuple[dict[uuid.UUID, Base], set[uuid.UUID]]:
    """What the image and the store had in common, as far as the image's state can have held it.

    Args:
        common: the record that the image's state names.
        here: what it holds.

    Returns:
        The record to compare with, and which annotations are missing without it being known that they were deleted:
        another QuPath may have saved them after this state was opened.
    """
    bases, missing = dict(common.annotations), set()
    for one, before in common.doubtful.items():
        if one not in here:
            if one in bases:
                missing.add(one)
        elif before is not None and here[one].digest == before.digest:
            # The version from before that: this state is the older one.
            bases[one] = before
    return bases, missing
