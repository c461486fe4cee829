"""The id that ties a client's report to the server's log."""

from __future__ import annotations

import re
import uuid
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

METADATA_KEY = "x-request-id"

_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,128}")
"""What a client may choose; anything else could forge log lines."""

_current: ContextVar[str] = ContextVar("wsisam_request_id", default="-")


def current_request_id() -> str:
    """The id of the call that the running task belongs to; "-" outside a call."""
    return _current.get()


def begin(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Takes the client's id from the call's metadata, or makes one, and sets it for this task."""
    given = next((value for key, value in metadata if key == METADATA_KEY), "")
    accepted = isinstance(given, str) and _ACCEPTED.fullmatch(given)
    request_id = str(given) if accepted else uuid.uuid4().hex
    _current.set(request_id)
    return request_id
