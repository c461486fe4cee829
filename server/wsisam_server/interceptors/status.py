"""Errors to statuses: the catalogue's reason travels as google.rpc.ErrorInfo (AIP-193)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from wsisam_server.errors import Reason, WsiSamServerError
from wsisam_server.interceptors.request_id import current_request_id

if TYPE_CHECKING:
    from google.protobuf.message import Message

DOMAIN = "wsisam"

_log = logging.getLogger(__name__)


def normalized(error: Exception) -> WsiSamServerError:
    """An error of the catalogue: the given one, or INTERNAL, and a traceback in the log, for any other."""
    if isinstance(error, WsiSamServerError):
        if error.private_text:
            _log.info("%s (%s)", error, error.private_text, extra={"place": error.place})
        return error
    if isinstance(error, MemoryError):
        _log.error("out of memory", exc_info=error)
        return WsiSamServerError(Reason.OUT_OF_MEMORY)
    _log.error("unexpected error", exc_info=error)
    return WsiSamServerError(Reason.INTERNAL, request_id=current_request_id())


def error_info(error: WsiSamServerError) -> error_details_pb2.ErrorInfo:
    """The machine-readable half of a status."""
    return error_details_pb2.ErrorInfo(reason=error.reason.name, domain=DOMAIN, metadata=error.details)


def to_status(error: WsiSamServerError, *more: Message) -> status_pb2.Status:
    """The status of a failed call: code, public text, ErrorInfo, RetryInfo where it helps, and further details."""
    status = status_pb2.Status(code=error.code.value, message=error.public_text)
    again: tuple[Message, ...] = ()
    if error.retry_seconds is not None:
        again = (error_details_pb2.RetryInfo(retry_delay=Duration(seconds=error.retry_seconds)),)
    for detail in (error_info(error), *again, *more):
        status.details.add().Pack(detail)
    return status
