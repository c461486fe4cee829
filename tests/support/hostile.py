"""Whoever means no good: wrong requests by the thousand, and connections that only hold on."""

import contextlib
import random
import socket
import struct
import time
from collections import Counter
from dataclasses import dataclass, field

import grpc

from support import wire
from support.waiting import until
from support.wild import METHODS, Examples, callable_of, disturb, mutated, path_of
from wsisam_server.client import ServerError

SECONDS_TO_ANSWER = 120
ENDLESS = ("wsisam.v1.Annotations.Watch", "grpc.health.v1.Health.Watch")
"""Streams that end when their client has had enough."""


@dataclass
class Tally:
    """What became of requests, and what should not have."""

    answered: Counter = field(default_factory=Counter)
    bad: list = field(default_factory=list)

    def __iadd__(self, other):
        self.answered += other.answered
        self.bad += other.bad
        return self


class Attacker:
    """Sends wrong requests over connections of its own.

    Args:
        target: the server.
        seed: the same makes the same requests.
        slide_id: a slide that is open there.
        uri: where it is.
    """

    def __init__(self, target, seed, slide_id, uri):
        self._target = target
        self._rng = random.Random(seed)
        self._examples = Examples(self._rng, slide_id, uri)
        self.tally = Tally()

    def send(self, count):
        """Sends so many requests: half with wrong bytes, a third with wild values, the rest not even calls."""
        with grpc.insecure_channel(self._target, [("grpc.max_send_message_length", -1)]) as channel:
            for _ in range(count):
                chance = self._rng.random()
                if chance < 0.17:
                    self._raw()
                else:
                    self._call(channel, self._rng.choice(METHODS), spoil=chance < 0.67)

    def _call(self, channel, method, *, spoil):
        rng = self._rng
        messages = self._examples.of(method)
        # One that is right, now and then, so that there is something to spoil.
        wrong = rng.randrange(len(messages)) if rng.random() < 0.95 else None
        if wrong is not None and not spoil:
            for _ in range(rng.randint(1, 3)):
                disturb(rng, messages[wrong])
        data = [message.SerializeToString() for message in messages]
        if wrong is not None and spoil:
            data[wrong] = mutated(rng, data[wrong])
        self._count(method, _outcome(channel, method, data, self._metadata()), data)

    def _metadata(self):
        rng = self._rng
        if rng.random() < 0.9:
            return ()
        return rng.choice(
            [
                (("x-request-id", "x" * rng.choice([1, 500, 4000])),),
                (("x-request-id", "a b~"), ("x-request-id", "{0}")),
                (("authorization", "Bearer " + "x" * rng.choice([0, 64, 3000])),),
                (("authorization", "Basic eDp5"),),
                (("wild-bin", rng.randbytes(100)), ("grpc-status-details-bin", b"\xff")),
                tuple((f"h{n}", "v" * 20) for n in range(rng.choice([50, 400]))),
            ]
        )

    def _count(self, method, outcome, data):
        code, said = outcome
        self.tally.answered[method.name, code] += 1
        endless = code == "DEADLINE_EXCEEDED" and method.full_name in ENDLESS
        lost = code == "UNAVAILABLE" and "STORE_BUSY" not in said
        if code in ("INTERNAL", "UNKNOWN") or (code == "DEADLINE_EXCEEDED" and not endless) or lost:
            self.tally.bad.append((path_of(method), code, said, [one[:2000].hex() for one in data]))

    def _raw(self):
        """Bytes on the port that are no proper call; what gRPC's core says to them is its own business."""
        rng = self._rng
        method = rng.choice(METHODS)
        body = wire.message(self._examples.of(method)[0].SerializeToString())
        kind, data = rng.choice(RAW)(rng, path_of(method), body)
        with contextlib.suppress(OSError), _connected(self._target) as connection:
            connection.sendall(data)
            connection.settimeout(rng.choice([0.01, 0.1]))
            while connection.recv(65536):
                pass
        self.tally.answered[kind, "sent"] += 1


def _outcome(channel, method, data, metadata):
    """Status and text of one call."""
    seconds = 0.3 if method.full_name in ENDLESS else SECONDS_TO_ANSWER
    sent = iter(data) if method.client_streaming else data[0]
    try:
        reply = callable_of(channel, method)(sent, timeout=seconds, metadata=metadata)
        if method.server_streaming:
            for number, _ in enumerate(reply):
                if number == 20:
                    reply.cancel()
                    return "left", ""
    except grpc.RpcError as error:
        return error.code().name, error.details() or ""
    return "OK", ""


def _ascii(rng, data, head):
    """Mutated, with nothing but ASCII in so many first bytes: other names of methods have a test of their own."""
    while not (spoiled := mutated(rng, data))[:head].isascii():
        pass
    return spoiled


def _broken_call(rng, path, body):
    call = wire.call(path, body)
    return "call with wrong bytes", wire.opening() + _ascii(rng, call, len(call) - len(body) - 9)


def _broken_connection(rng, path, body):
    whole = wire.opening() + wire.call(path, body)
    return "connection with wrong bytes", _ascii(rng, whole, len(whole) - len(body) - 9)


def _compressed(rng, path, body):
    flag = rng.choice([1, 1, 2, 255])
    more = rng.choice([(), (("grpc-encoding", "gzip"),), (("grpc-encoding", "nonsense"),)])
    return "wrong compression", wire.opening() + wire.call(path, wire.message(body[5:], flag=flag), more=more)


def _wrong_length(rng, path, body):
    length = rng.choice([2**32 - 1, 2**31, 0, 1, len(body) + 100])
    return "wrong length", wire.opening() + wire.call(path, wire.message(body[5:], length=length))


def _wrong_type(rng, path, body):
    kind = rng.choice(
        ["text/html", "", "application/json", "application/grpc+json", "application/grpc-web", "x" * 5000]
    )
    return "wrong content type", wire.opening() + wire.call(path, body, content_type=kind)


def _wrong_path(rng, path, body):
    wrong = rng.choice([path + "x", path.lower(), "", "*", "/", "/wsisam.v1.Segmentation/", "/" * 3000, path + "\0"])
    return "wrong method", wire.opening() + wire.call(wrong, body)


def _much(rng, path, body):
    """Floods of what costs the sender nothing."""
    start = wire.opening()
    reset = wire.frame(wire.Kind.RST_STREAM, struct.pack(">I", 8), 0, 1)[:5]
    calls = b"".join(wire.call(path, body, stream=n) + reset + struct.pack(">II", n, 8) for n in range(1, 200, 2))
    unended = wire.frame(wire.Kind.HEADERS, wire.fields(wire.headers_of(path)), 0, 1)
    more = wire.frame(wire.Kind.CONTINUATION, wire.fields([("x" * 100, "y" * 4000)]), 0, 1)
    many = [(f"h{n}", "v" * 1000) for n in range(200)]
    return "flood", start + rng.choice(
        [
            calls,
            unended + more * 50,
            wire.frame(wire.Kind.PING, bytes(8)) * 2000,
            wire.settings(window=2**31 - 1) * 500,
            wire.frame(wire.Kind.WINDOW_UPDATE, struct.pack(">I", 2**31 - 1)) * 5,
            wire.call(path, body, more=many),
        ]
    )


def _no_http2(rng, path, body):
    return "no HTTP/2", rng.choice(
        [
            b"",
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST " + path.encode() + b" HTTP/1.1\r\nContent-Length: 4294967296\r\n\r\n" + body,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(200),
            b"SSH-2.0-x\r\n",
            wire.PREFACE[: rng.randrange(1, 24)],
            rng.randbytes(rng.choice([1, 100, 100_000])),
            bytes(10_000),
        ]
    )


RAW = [
    *(_broken_call, _broken_call, _broken_connection, _compressed, _wrong_length),
    *(_wrong_type, _wrong_path, _much, _no_http2),
]


def unreadable_method(target):
    """Calls a method whose name is no text, and waits until the server has done with it."""
    with _connected(target) as connection, contextlib.suppress(OSError):
        connection.sendall(wire.opening() + wire.call(b"/wsisam.v1.Segmentation/\xff", wire.message(b"")))
        connection.settimeout(5)
        while connection.recv(65536):
            pass


def _connected(target):
    host, _, port = target.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=20)


class Holding:
    """Connections of one bad kind, open until it is left; half of them go without a goodbye.

    Args:
        target: the server.
        count: how many.
        begin: bytes that each sends at first.
        drip: bytes that each sends afterwards, one with each `step`.
    """

    def __init__(self, target, count, begin=b"", drip=b""):
        self._drip = drip
        self._sent = 0
        self._open = []
        for _ in range(count):
            connection = _connected(target)
            connection.sendall(begin)
            self._open.append(connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for number, connection in enumerate(self._open):
            if number % 2:
                # No goodbye: the kernel then sends a reset.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

    def step(self):
        """Each sends its next byte; a connection that the server has closed sends no more."""
        byte = self._drip[self._sent : self._sent + 1]
        self._sent += 1
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.sendall(byte)


def holdings(target, slide_id, uri, count, many):
    """The kinds of connections that only hold on, by name, each as what makes it.

    Args:
        target: the server.
        slide_id: a slide that is open there.
        uri: where it is.
        count: how many of those that cost something.
        many: how many idle ones.
    """
    rng = random.Random(1)
    examples = Examples(rng, slide_id, uri)
    methods = {method.name: method for method in METHODS if "wsisam" in method.full_name}

    def calls(name, messages, *, end, window=None):
        body = b"".join(wire.message(one.SerializeToString()) for one in messages)
        return wire.opening(window=window) + wire.call(path_of(methods[name]), body, end=end)

    save = examples.of(methods["Save"])
    interact = next(said for said in iter(lambda: examples.of(methods["Interact"]), None) if len(said) > 4)
    unread = calls("Interact", interact, end=False, window=0)
    listed = calls("List", examples.of(methods["List"]), end=True, window=0)
    whole = wire.opening() + wire.call(path_of(methods["Save"]), wire.message(save[0].SerializeToString()))
    half = len(whole) // 2
    return {
        "slow in the first bytes": lambda: Holding(target, count, drip=whole),
        "slow in the message": lambda: Holding(target, count, whole[:half], whole[half:]),
        "silent after the connection": lambda: Holding(target, count),
        "silent after the preface": lambda: Holding(target, count, wire.opening()),
        "a message that never ends": lambda: Holding(target, count, calls("Save", save, end=False)[:-1]),
        "Interact, never read": lambda: Holding(target, count, unread),
        "List, never read": lambda: Holding(target, count, listed),
        f"{many} idle": lambda: Holding(target, many, wire.opening()),
    }


class Canary:
    """One honest user, whose prompt must be answered whatever the others do."""

    def __init__(self, client, request):
        self._client = client
        self._request = request
        self.outline = self.ask()[1]

    def ask(self):
        """Seconds that the prompt took, and its outline."""
        started = time.perf_counter()
        outline = self._client.segment(self._request)
        return time.perf_counter() - started, outline

    def seconds(self, times, meanwhile=lambda: None, pause=0.0):
        """The median of so many; `meanwhile` is called, and a while waited, before each."""
        taken = []
        for _ in range(times):
            meanwhile()
            time.sleep(pause)
            spent, outline = self.ask()
            assert outline.geometry == self.outline.geometry
            taken.append(spent)
        return sorted(taken)[times // 2]

    def seconds_until_answered(self, at_most):
        """How long a client has to try that is told again and again that nobody is there."""
        started = time.perf_counter()

        def answered():
            try:
                return self.ask()
            except ServerError as error:
                if error.status != "UNAVAILABLE":
                    raise

        until(answered, at_most, pause=0.05)
        return time.perf_counter() - started
