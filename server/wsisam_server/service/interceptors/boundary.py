"""The outermost layer of every call: its token and request id in, catalogue status out."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import grpc
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

import wsisam_server
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.service.interceptors import request_id
from wsisam_server.service.interceptors.maps import MOST_ENTRIES, TooManyEntriesError, check_maps
from wsisam_server.service.interceptors.method_permissions import UNKNOWN_METHOD
from wsisam_server.service.interceptors.status import normalized
from wsisam_server.wire.details import status_of

if TYPE_CHECKING:
    from wsisam_server.service.interceptors.access import Access, ActiveCall, ReadinessGate

_log = logging.getLogger(__name__)

Behavior = Callable[..., Awaitable[Any]]
"""A servicer's method. Ours are coroutines throughout (streams write to the context), because a coroutine is cancelled
where it stands when its client leaves, whereas a generator waits for the garbage collector."""


@dataclass(frozen=True, slots=True)
class _Received:
    """A message, and how many bytes it had; or why it could not be made of them.

    gRPC itself would answer INTERNAL or UNKNOWN then, which in our API mean a bug of the server.
    """

    nbytes: int
    message: Any = None
    error: Exception | None = None


class CallListener(Protocol):
    """Is called at the begin and the end of each call, in the call's own task. It must neither block nor raise."""

    def call_begun(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """A call began. It has a request id and is not admitted yet.

        Args:
            method: its full name, "/package.Service/Method".
            metadata: what the caller sent with it.
        """
        ...

    def call_ended(self, method: str, status: str) -> None:
        """A call ended, with this status of gRPC."""
        ...


class BoundaryInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Admits calls, maps errors to statuses and gives each call a request id.

    Args:
        prefix: what our own methods begin with ("/wsisam."). Health and reflection follow the same rules, but are
            also answered while the server starts and stops.
        readiness_gate: refuses calls while the server starts or stops.
        access: knows callers by their tokens.
        listeners: hear of each call.
    """

    def __init__(
        self,
        prefix: str,
        readiness_gate: ReadinessGate,
        access: Access,
        listeners: Sequence[CallListener],
    ) -> None:
        self._prefix = prefix
        self._readiness_gate = readiness_gate
        self._access = access
        self._listeners = listeners

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """Wraps the method's handler; see grpc.aio.ServerInterceptor."""
        handler, method = await continuation(handler_call_details), handler_call_details.method
        if handler is None:
            if not method.startswith(self._prefix):
                return None
            # Under one name: what strangers call must not become names of metrics.
            handler, method = _refusing(_unknown(method)), UNKNOWN_METHOD
        try:
            self._access.caller(method, handler_call_details.invocation_metadata or ())
        except Exception as error:  # noqa: BLE001 - gRPC would answer nothing at all
            handler = _refusing(error)
        wrapped: dict[str, Any] = {"request_deserializer": _tolerant(handler.request_deserializer)}
        for kind in _KINDS:
            behavior = getattr(handler, kind)
            if behavior is not None:
                stream = kind != "unary_unary"
                if not stream:
                    # Made into bytes within the guard: outside, gRPC answers UNKNOWN when there is no memory for them.
                    behavior = _in_bytes(behavior, handler.response_serializer)
                    wrapped["response_serializer"] = None
                wrapped[kind] = self._guarded(method, behavior, kind)
        return handler._replace(**wrapped)

    def _guarded(self, method: str, behavior: Behavior, kind: str) -> Behavior:
        ours, stream = method.startswith(self._prefix), kind != "unary_unary"
        taken = self._all_taken if kind.startswith("stream") else self._taken

        async def call(request: Any, context: grpc.aio.ServicerContext) -> Any:
            started = time.perf_counter()
            ended, active_call = ("CANCELLED", ""), None
            try:
                await self._begin(method, context)
                metadata = context.invocation_metadata() or ()
                active_call = self._access.admit(method, metadata, stream=stream, peer=context.peer())
                if ours:
                    self._readiness_gate.check()
                with self._access.active(active_call):
                    messages = taken(active_call, request)
                    reply = await _run(behavior, await messages if inspect.isawaitable(messages) else messages, context)
            except asyncio.CancelledError:
                known = _why_ended(active_call)
                if known is None:
                    raise
                ended = (known.code.name, known.reason.name)
            except grpc.aio.AbortError:
                ended = ("ABORTED", "by its service")
                raise
            except grpc.aio.InternalError:
                raise
            except Exception as error:  # noqa: BLE001 - every error becomes a status
                known = normalized(error)
                ended = (known.code.name, known.reason.name)
            else:
                ended = ("OK", "")
                return reply
            finally:
                for listener in self._listeners:
                    listener.call_ended(method, ended[0])
                # Monitors ask for health every few seconds.
                _log_end(logging.INFO if ours else logging.DEBUG, method, ended, time.perf_counter() - started)
            await context.abort_with_status(rpc_status.to_status(status_of(known)))
            raise known  # not reached: aborting raises

        return _while_there(call)

    async def _taken(self, active_call: ActiveCall, request: _Received) -> object:
        await self._access.charge_bytes(active_call, request.nbytes)
        return _checked(request)

    async def _all_taken(self, active_call: ActiveCall, requests: AsyncIterator[_Received]) -> AsyncIterator[object]:
        async for request in requests:
            yield await self._taken(active_call, request)

    async def _begin(self, method: str, context: grpc.aio.ServicerContext) -> None:
        metadata = context.invocation_metadata() or ()
        identity = request_id.begin(metadata)
        for listener in self._listeners:
            listener.call_begun(method, metadata)
        await context.send_initial_metadata(((request_id.METADATA_KEY, identity),))


def _while_there(behavior: Behavior) -> Behavior:
    """The same, and cancelled when gRPC cannot send: then the client has left."""

    async def call(request: Any, context: grpc.aio.ServicerContext) -> Any:
        try:
            return await behavior(request, context)
        except grpc.aio.InternalError as error:
            raise asyncio.CancelledError from error

    return call


def _log_end(level: int, method: str, ended: tuple[str, str], seconds: float) -> None:
    status, reason = ended
    milliseconds = round(seconds * 1000, 1)
    said = f"{status} {reason}".strip()
    fields = {"method": method, "status": status, "reason": reason, "milliseconds": milliseconds}
    _log.log(level, "%s %s after %.0f ms", method, said, milliseconds, extra=fields)


async def _run(behavior: Behavior, request: Any, context: grpc.aio.ServicerContext) -> Any:
    answer: Any = behavior(request, context)
    if not inspect.isasyncgen(answer):
        return await answer
    async for message in answer:  # of a service that is not ours
        await context.write(message)
    return None


def _in_bytes(behavior: Behavior, serialize: Callable[[Any], bytes] | None) -> Behavior:
    """A method of one answer, which is made into bytes at once."""
    if serialize is None:
        return behavior

    async def call(request: Any, context: grpc.aio.ServicerContext) -> bytes:
        return serialize(await behavior(request, context))

    return call


def _why_ended(active_call: ActiveCall | None) -> WsiSamServerError | None:
    return None if active_call is None else active_call.ended_by


def _unknown(method: str) -> WsiSamServerError:
    return WsiSamServerError(Reason.METHOD_UNKNOWN, release=wsisam_server.__version__, method=method)


def _refusing(error: Exception) -> grpc.RpcMethodHandler:
    """Fails calls of any kind before their message is read: gRPC would keep what strangers send of it."""

    async def refuse(_requests: AsyncIterator[object], _context: grpc.aio.ServicerContext) -> None:
        raise error

    return grpc.stream_stream_rpc_method_handler(refuse)


def _tolerant(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], _Received]:
    descriptor = getattr(getattr(deserialize, "__self__", None), "DESCRIPTOR", None)

    def call(data: bytes) -> _Received:
        try:
            if descriptor is not None:
                check_maps(descriptor, data)
            return _Received(len(data), data if deserialize is None else deserialize(data))
        except (DecodeError, MemoryError, TooManyEntriesError) as error:
            return _Received(len(data), error=error)

    return call


def _checked(request: _Received) -> object:
    if request.error is None:
        return request.message
    if isinstance(request.error, MemoryError):
        raise request.error
    if isinstance(request.error, TooManyEntriesError):
        problem = f"it holds more than {MOST_ENTRIES} entries, or the message too many parts"
        raise WsiSamServerError(Reason.INVALID_FIELD, field=str(request.error), problem=problem)
    raise WsiSamServerError(
        Reason.INVALID_FIELD,
        private=str(request.error),
        field="message",
        problem="its bytes are not a message of the type that this method takes. Those of a client of another release "
        f"than this server's, {wsisam_server.__version__}, may be such: bring both to one",
    )


_KINDS: Final = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
"""A handler's four kinds of behaviour."""
