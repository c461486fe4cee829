"""Whether a port can be listened on, and if not, why: gRPC says only that it cannot."""

from __future__ import annotations

import errno
import os
import socket
import sys
from typing import Final

_OWN_PORTS: Final = 1024

_NOT_HERE: Final = frozenset({errno.EADDRNOTAVAIL, getattr(errno, "WSAEADDRNOTAVAIL", errno.EADDRNOTAVAIL)})
_DENIED: Final = frozenset({errno.EACCES, getattr(errno, "WSAEACCES", errno.EACCES)})


def why_not(host: str, port: int, option: str = "--port") -> str:
    """Why an address cannot be listened on, and what to do; empty where it can.

    Args:
        host: name or address of this machine; an IPv6 address without brackets.
        port: 0 for any.
        option: that chooses the port.
    """
    try:
        known = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return f"no address is known for the name {host!r}. Write one of this machine's addresses, or 0.0.0.0 for all"
    for family, kind, protocol, _, place in known:
        with socket.socket(family, kind, protocol) as probe:
            if sys.platform != "win32":  # there it would share the port
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(place)
                probe.listen(1)
            except OSError as error:
                return _in_words(host, port, option, error)
    return ""


def _in_words(host: str, port: int, option: str, error: OSError) -> str:
    if error.errno in _NOT_HERE:
        return f"{host} is no address of this machine. Write one of its own, or 0.0.0.0 for all"
    if error.errno in _DENIED and port < _OWN_PORTS:
        return f"ports below {_OWN_PORTS} are for the system's own services. Choose another {option}, such as 8765"
    if error.errno == errno.EADDRINUSE:
        return f"is another server running there? Choose another {option} (0 for any free one)."
    return f"{error.strerror or os.strerror(error.errno or 0)}. Choose another address or {option} (0 for any free one)"
