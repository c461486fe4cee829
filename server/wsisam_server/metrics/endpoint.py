"""The port that Prometheus reads from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import start_http_server

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class Endpoint:
    """Answers HTTP on a port of its own, on threads of its own; any path is the page of numbers.

    Args:
        registry: what is shown.
        host: address to listen on.
        port: 0 for any free one.

    Raises:
        OSError: the port is taken, or the address is none of this machine's.
    """

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        self._server, self._thread = start_http_server(port, host, registry)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    def close(self) -> None:
        """Frees the port. Blocks for up to half a second."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
