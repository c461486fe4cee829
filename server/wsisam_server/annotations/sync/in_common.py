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
    from collections.abc import Iterable, Iterator, Mapping

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
