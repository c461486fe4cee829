"""A gRPC call as the bytes of an HTTP/2 connection, made by hand so that each of them can be wrong."""

import enum
import itertools
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Kind(enum.IntEnum):
    """Kinds of frames (RFC 9113, section 6)."""

    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    WINDOW_UPDATE = 8
    CONTINUATION = 9


END_STREAM, END_HEADERS = 1, 4
INITIAL_WINDOW_SIZE = 4


def frame(kind, payload=b"", flags=0, stream=0):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(**values):
    """A SETTINGS frame; `window`: how much the server may send before it is told more."""
    window = values.get("window")
    return frame(Kind.SETTINGS, b"" if window is None else struct.pack(">HI", INITIAL_WINDOW_SIZE, window))


def fields(headers):
    """Header fields, never indexed and never compressed (RFC 7541, section 6.2.2)."""
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in headers)


def message(data, *, flag=0, length=None):
    """One message as gRPC frames it: whether it is compressed, how long it says that it is, and its bytes."""
    return struct.pack(">BI", flag, len(data) if length is None else length) + data


def headers_of(path, *, content_type="application/grpc", more=()):
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("te", "trailers"),
        ("content-type", content_type),
        *more,
    ]


def opening(**values):
    """What a connection begins with."""
    return PREFACE + settings(**values)


def call(path, body, *, stream=1, end=True, **more):
    """A call: its headers, and its framed messages in one DATA frame."""
    return frame(Kind.HEADERS, fields(headers_of(path, **more)), END_HEADERS, stream) + frame(
        Kind.DATA, body, END_STREAM if end else 0, stream
    )


def _text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return _integer(len(data)) + data


def _integer(value):
    # Seven bits of the first byte, whose eighth would say that the text is Huffman coded.
    if value < 127:
        return bytes([value])
    rest = value - 127
    groups = [rest >> shift & 127 for shift in itertools.takewhile(lambda n: n == 0 or rest >> n, range(0, 35, 7))]
    return bytes([127, *(group | 128 for group in groups[:-1]), groups[-1]])
