"""The outermost layer of every call of our own services: request id in, catalogue status out."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import DecodeError, Message
from grpc_status import rpc_status

from wsisam_server.errors import Reason, WsiSamServerError
from wsisam_server.interceptors import request_id
from wsisam_server.interceptors.request_id import current_request_id
from wsisam_server.interceptors.status import normalized, to_status

if TYPE_CHECKING:
    from wsisam_server.interceptors.gate import Gate

_log = logging.getLogger(__name__)

Behavior = Callable[..., Awaitable[Any]]
"""A servicer's method. Ours are coroutines throughout (streams write to the context), because a coroutine is cancelled
where it stands when its client leaves, whereas a generator waits for the garbage collector."""


@dataclass(frozen=True, slots=True)
class _Malformed:
    """Stands for a message whose bytes are not a valid message of its type.

    gRPC itself would answer INTERNAL, which in our API means a bug of the server.
    """

    problem: str


class BoundaryInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Maps errors to statuses and gives each call a request id.

    Args:
        prefix: only methods below it are touched ("/wsisam."); health and reflection speak for themselves.
        gate: refuses calls while the server starts or stops.
        details: makes further status details for an error that carries more than text.
    """

    def __init__(self, prefix: str, gate: Gate, details: Callable[[WsiSamServerError], tuple[Message, ...]]) -> None:
        self._prefix = prefix
        self._gate = gate
        self._details = details

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """Wraps the method's handler; see grpc.aio.ServerInterceptor."""
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(self._prefix):
            return handler
        wrapped: dict[str, Any] = {"request_deserializer": _tolerant(handler.request_deserializer)}
        for kind, check in (("unary_unary", _checked), ("unary_stream", _checked), ("stream_stream", _checked_all)):
            behavior = getattr(handler, kind)
            if behavior is not None:
                wrapped[kind] = self._guarded(handler_call_details.method, behavior, check)
        return handler._replace(**wrapped)

    def _guarded(self, method: str, behavior: Behavior, check: Callable[[Any], Any]) -> Behavior:
        async def call(request: Any, context: grpc.aio.ServicerContext) -> Any:
            await self._begin(context)
            started = time.perf_counter()
            ended = "CANCELLED by its client"
            try:
                self._gate.check()
                reply = await behavior(check(request), context)
            except Exception as error:  # noqa: BLE001 - every error becomes a status
                known = normalized(error)
                ended = f"{known.code.name} {known.reason.name}"
            else:
                ended = "OK"
                return reply
            finally:
                milliseconds = (time.perf_counter() - started) * 1000
                _log.info("request %s: %s %s after %.0f ms", current_request_id(), method, ended, milliseconds)
            await context.abort_with_status(rpc_status.to_status(to_status(known, *self._details(known))))
            raise known  # not reached: aborting raises

        return call

    async def _begin(self, context: grpc.aio.ServicerContext) -> None:
        identity = request_id.begin(context.invocation_metadata() or ())
        await context.send_initial_metadata(((request_id.METADATA_KEY, identity),))


def _tolerant(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def call(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError as error:
            return _Malformed(str(error))

    return call


def _checked(request: object) -> object:
    if isinstance(request, _Malformed):
        raise WsiSamServerError(
            Reason.INVALID_FIELD,
            private=request.problem,
            field="message",
            problem="its bytes are not a message of the type that this method takes",
        )
    return request


async def _checked_all(requests: AsyncIterator[object]) -> AsyncIterator[object]:
    async for request in requests:
        yield _checked(request)
