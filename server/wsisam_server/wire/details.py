"""Errors to google.rpc.Status (AIP-193): one form for a failed call and for one prompt's error inside a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from wsisam_server.annotations.store import RevisionConflictError
from wsisam_server.core.errors import named
from wsisam_server.core.pixels import PixelsNeededError
from wsisam_server.wire import annotation_to_proto, to_proto

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from wsisam_server.core.errors import WsiSamServerError

DOMAIN: Final = "wsisam"


def status_of(error: WsiSamServerError, path: str = "") -> status_pb2.Status:
    """The status of an error: code, public text, and as details an ErrorInfo and what else is known of it.

    Args:
        error: of the catalogue.
        path: where in the request's message that lies from which the error's fields are named, such as "items[3].".
            The prompt of a stream does not know its place in the call.
    """
    details = dict(error.details)
    if path and "field" in details:
        details["field"] = path + details["field"]
    text = error.text_with(details)
    status = status_pb2.Status(code=error.code.value, message=named(text, error.reason.name))
    info = error_details_pb2.ErrorInfo(reason=error.reason.name, domain=DOMAIN, metadata=details)
    for detail in (info, *_bad_request(error, details, path, text), *_retry(error), *_typed(error)):
        status.details.add().Pack(detail)
    return status


def _bad_request(error: WsiSamServerError, details: dict[str, str], path: str, text: str) -> tuple[Message, ...]:
    """Which field is at fault, if one is."""
    usual = error.reason.value.field
    if not usual:
        return ()
    violation = error_details_pb2.BadRequest.FieldViolation(
        field=details.get("field", path + usual), description=details.get("problem", text)
    )
    return (error_details_pb2.BadRequest(field_violations=[violation]),)


def _retry(error: WsiSamServerError) -> tuple[Message, ...]:
    """When the same may succeed, if waiting helps."""
    if error.retry_seconds is None:
        return ()
    return (error_details_pb2.RetryInfo(retry_delay=Duration(seconds=error.retry_seconds)),)


def _typed(error: WsiSamServerError) -> tuple[Message, ...]:
    """The windows to send, or both versions of what was changed by two."""
    if isinstance(error, PixelsNeededError):
        return (to_proto.pixels_needed(error.windows),)
    return (annotation_to_proto.conflicts(error),) if isinstance(error, RevisionConflictError) else ()
