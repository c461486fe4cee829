"""google.rpc.Status to the one exception of this client: of a failed call, and of one prompt inside a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from wsisam.v1 import annotations_pb2, segmentation_pb2
from wsisam_server.client.errors import FieldViolation, ServerError
from wsisam_server.client.line_errors import in_words

if TYPE_CHECKING:
    from google.rpc import status_pb2

    from wsisam_server.client.address import ServerAddress


def server_error(error: Any, address: ServerAddress | None = None) -> ServerError:
    """A failed call as an exception.

    Args:
        error: the `grpc.RpcError` that the call raised.
        address: of the server, for texts about the way there.
    """
    try:
        status = rpc_status.from_call(error)
    except ValueError:  # details of something else than our server
        status = None
    if status is None:
        status_name, text = error.code().name, error.details() or ""
        return ServerError(status_name, "", text if address is None else in_words(address, status_name, text), {})
    return status_error(status)


def status_error(status: status_pb2.Status) -> ServerError:
    """A status as an exception, with what its details hold."""
    code = next((known.name for known in grpc.StatusCode if known.value[0] == status.code), str(status.code))
    said: dict[str, Any] = {"reason": "", "details": {}}
    for packed in status.details:
        info, needed = error_details_pb2.ErrorInfo(), segmentation_pb2.PixelsNeeded()
        retry, bad = error_details_pb2.RetryInfo(), error_details_pb2.BadRequest()
        versions = annotations_pb2.RevisionConflicts()
        if packed.Unpack(info):
            said |= {"reason": info.reason, "details": info.metadata}
        elif packed.Unpack(retry):
            said["retry_seconds"] = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
        elif packed.Unpack(bad):
            said["violations"] = [FieldViolation(one.field, one.description) for one in bad.field_violations]
        elif packed.Unpack(needed):
            said["pixels_needed"] = needed
        elif packed.Unpack(versions):
            said["conflicts"] = versions
    return ServerError(code, text=status.message, **said)
