"""What of an image the store cannot hold, in words for people, and what people call an annotation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsisam_server.annotations.sync.plan import Action
    from wsisam_server.annotations.sync.project import Contents

_MOST_NAMES: Final = 5
"""Of measurements that are named."""


def named(action: Action) -> str:
    """An annotation by its id, name and class, for people."""
    return f"{action.id} ({action.label})" if action.label else str(action.id)


def left_out(contents: Contents) -> tuple[str, ...]:
    """What of an image the store cannot hold, for people."""
    lines = []
    for one, why in contents.unusable.items():
        label = contents.labels.get(one)
        lines.append(f"{one} ({label}): {why}" if label else f"{one}: {why}")
    for annotation_id, names in contents.not_numbers.items():
        label = contents.drawings[annotation_id].label
        lines.append(
            f"{annotation_id}{f' ({label})' if label else ''}: {_counted(names)} not a number (NaN or infinite), so "
            f"only QuPath keeps it: {', '.join(names[:_MOST_NAMES])}{' ...' if len(names) > _MOST_NAMES else ''}"
        )
    for annotation_id, what in contents.repaired.items():
        label = contents.drawings[annotation_id].label
        lines.append(f"{annotation_id}{f' ({label})' if label else ''}: {what}")
    return tuple(lines)


def _counted(names: Sequence[str]) -> str:
    return "1 measurement is" if len(names) == 1 else f"{len(names)} measurements are"
