"""What a failed call's status carries beside its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsisam_server.annotations.store import RevisionConflictError
from wsisam_server.core.pixels import PixelsNeededError
from wsisam_server.wire import annotation_to_proto, to_proto

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from wsisam_server.core.errors import WsiSamServerError


def status_details(error: WsiSamServerError) -> tuple[Message, ...]:
    """The windows to send, or both versions of what was changed by two."""
    if isinstance(error, PixelsNeededError):
        return (to_proto.pixels_needed(error.windows),)
    return (annotation_to_proto.conflicts(error),) if isinstance(error, RevisionConflictError) else ()
