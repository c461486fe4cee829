"""What a client raises. Without gRPC: commands name these errors before they know whether they will connect."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wsisam_server.core.errors import named

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wsisam.v1 import annotations_pb2, segmentation_pb2


class FieldViolation(NamedTuple):
    """A field of a request that is at fault: its path from the request's message, and what is wrong with it."""

    field: str
    description: str


class ServerError(Exception):
    """A call failed, or one prompt of a stream.

    Attributes:
        status: name of the gRPC status, for example "INVALID_ARGUMENT".
        reason: stable reason of the catalogue, or empty when the failure came from elsewhere (no connection).
        text: what happened and what to do, with the reason at its end: docs/troubleshooting.md has a section of it.
        details: structured details.
        pixels_needed: with reason PIXELS_NEEDED, the windows to send.
        conflicts: with reason REVISION_CONFLICT, both versions of what was changed by two.
        retry_seconds: after which the same may succeed without anybody's doing; None where it will not.
        violations: the fields of the request that are at fault.
    """

    def __init__(
        self,
        status: str,
        reason: str,
        text: str,
        details: Mapping[str, str],
        pixels_needed: segmentation_pb2.PixelsNeeded | None = None,
        conflicts: annotations_pb2.RevisionConflicts | None = None,
        retry_seconds: float | None = None,
        violations: Iterable[FieldViolation] = (),
    ) -> None:
        self.status = status
        self.reason = reason
        self.text = named(text, reason)  # servers of 0.1 did not
        super().__init__(self.text)
        self.details = dict(details)
        self.pixels_needed = pixels_needed
        self.conflicts = conflicts
        self.retry_seconds = retry_seconds
        self.violations = tuple(violations)


class ForkedClientError(RuntimeError):
    """A client was used in another process than the one that made it."""

    def __init__(self) -> None:
        super().__init__(
            "this client belongs to the process from which this one was forked, and gRPC's connections do not survive "
            "a fork. Each process needs its own: make a Client there, in a DataLoader for example in its "
            "worker_init_fn, or start processes with 'spawn'"
        )
