"""A server that has no memory, threads or open files left says so, wherever that happens in a call."""

import asyncio
import errno
import threading

import grpc
import pytest

from wsisam_server.client import server_error
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.service.identity import RateLimiter
from wsisam_server.service.interceptors import Access, BoundaryInterceptor, ReadinessGate, normalized


def failing(error):
    raise error


def caused(reason, error):
    known = WsiSamServerError(reason, private=str(error))
    known.__cause__ = error
    return known


EXHAUSTED = [
    MemoryError(),
    RuntimeError("can't start new thread"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory"),
    OSError(errno.EMFILE, "Too many open files"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    caused(Reason.SLIDE_UNREADABLE, OSError(errno.EMFILE, "Too many open files")),
    caused(Reason.SLIDE_UNREADABLE, RuntimeError("Couldn't open slide.svs: Too many open files")),
]
OTHERS = [
    (ValueError("x"), "INTERNAL"),
    (OSError(errno.EIO, "Input/output error"), "INTERNAL"),
    (WsiSamServerError(Reason.SLIDE_UNREADABLE, private="Too many open files"), "SLIDE_UNREADABLE"),
    (caused(Reason.SLIDE_UNREADABLE, OSError(errno.EIO, "Input/output error")), "SLIDE_UNREADABLE"),
]


@pytest.mark.parametrize(("error", "reason"), [(error, "OUT_OF_MEMORY") for error in EXHAUSTED] + OTHERS)
def test_what_counts_as_exhausted(error, reason):
    assert normalized(error).reason.name == reason


@pytest.fixture
def serving():
    """A server of methods that fail in one place each, behind our interceptor, and a channel to it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def echo(request, context):
        return request

    async def fail(request, context):
        raise failing_with[0]

    async def stream(request, context):
        await context.write(b"first")
        raise failing_with[0]

    async def later(requests, context):
        await context.write(b"first")
        async for _ in requests:
            pass

    failing_with = [MemoryError()]
    no_room = MemoryError("no room")
    # Names that our table of methods has.
    segmentation = {
        "Segment": grpc.unary_unary_rpc_method_handler(echo, request_deserializer=lambda _: failing(no_room)),
        "OpenSlide": grpc.unary_unary_rpc_method_handler(echo, response_serializer=lambda _: failing(no_room)),
        "ListModels": grpc.unary_unary_rpc_method_handler(fail),
        "SegmentBatch": grpc.unary_stream_rpc_method_handler(stream),
        "SegmentEverything": grpc.unary_stream_rpc_method_handler(
            stream, request_deserializer=lambda _: failing(no_room)
        ),
        "Interact": grpc.stream_stream_rpc_method_handler(later, request_deserializer=lambda _: failing(no_room)),
    }

    async def begin():
        gate = ReadinessGate()
        gate.open()
        access = Access(None, required=False, streams=8, rate_limiter=RateLimiter(1000, 1000))
        server = grpc.aio.server(interceptors=(BoundaryInterceptor("/wsisam.", gate, access, ()),))
        handler = grpc.method_handlers_generic_handler("wsisam.v1.Segmentation", segmentation)
        server.add_generic_rpc_handlers((handler,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, port

    server, port = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel, failing_with
    asyncio.run_coroutine_threadsafe(server.stop(None), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def refusal(call):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error = server_error(caught.value)
    return error.status, error.reason


EXPECTED = ("RESOURCE_EXHAUSTED", "OUT_OF_MEMORY")


@pytest.mark.parametrize("method", ["Segment", "OpenSlide", "ListModels"])
def test_in_a_call_with_one_answer(serving, method):
    channel, _ = serving
    assert refusal(lambda: channel.unary_unary(f"/wsisam.v1.Segmentation/{method}")(b"x", timeout=10)) == EXPECTED


@pytest.mark.parametrize("error", EXHAUSTED[1:4])
def test_without_threads_or_files(serving, error):
    channel, failing_with = serving
    failing_with[0] = error
    for kind, method in ((channel.unary_unary, "ListModels"), (channel.unary_stream, "SegmentBatch")):
        call = kind(f"/wsisam.v1.Segmentation/{method}")
        assert refusal(lambda call=call: _all(call(b"x", timeout=10))) == EXPECTED


def _all(answer):
    return answer if isinstance(answer, bytes) else list(answer)


@pytest.mark.parametrize("method", ["SegmentBatch", "SegmentEverything"])
def test_in_a_stream(serving, method):
    channel, _ = serving
    answers = channel.unary_stream(f"/wsisam.v1.Segmentation/{method}")(b"x", timeout=10)
    assert refusal(lambda: list(answers)) == EXPECTED


def test_in_a_stream_of_requests(serving):
    channel, _ = serving
    answers = channel.stream_stream("/wsisam.v1.Segmentation/Interact")(iter([b"x"]), timeout=10)
    assert refusal(lambda: list(answers)) == EXPECTED
