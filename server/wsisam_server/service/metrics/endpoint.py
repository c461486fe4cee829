"""The port that Prometheus reads from."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import make_wsgi_app

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

CLIENT_SECONDS: Final = 5.0
"""How long a client may take to send its request, and to take the page."""

PAUSE_SECONDS: Final = 0.1
"""Before a connection is taken again that could not be: asked at once, the same answer comes thousands of times."""


class Endpoint:
    """Answers HTTP on a port of its own, on threads of its own; any path is the metrics page.

    It answers also when the process has no open files or threads left, which is when people need its metrics.

    Args:
        registry: what is shown.
        host: address to listen on.
        port: 0 for any free one.

    Raises:
        OSError: the port is taken, or the address is none of this machine's.
    """

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        self._server = _server_of(family)((host, port), _Handler)
        self._server.set_app(make_wsgi_app(registry))
        self._thread = threading.Thread(target=self._server.serve_forever, name="wsisam-metrics", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    def close(self) -> None:
        """Frees the port. Blocks for up to half a second."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(WSGIRequestHandler):
    timeout = CLIENT_SECONDS

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Logs nothing: Prometheus scrapes every few seconds."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        # Given up for a connection when there is no other descriptor left.
        self._spare: int | None = os.open(os.devnull, os.O_RDONLY)
        super().__init__(*args)

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            return super().get_request()
        except OSError as error:
            if error.errno not in {errno.EMFILE, errno.ENFILE}:
                raise
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None
        try:
            return super().get_request()
        except OSError:
            time.sleep(PAUSE_SECONDS)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._spare is not None:
            try:
                super().process_request(request, client_address)
            except RuntimeError:  # no thread can be started
                self.process_request_thread(request, client_address)
            return
        # One at a time on the spare descriptor, which is then kept again.
        self.process_request_thread(request, client_address)
        with contextlib.suppress(OSError):
            self._spare = os.open(os.devnull, os.O_RDONLY)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Logs nothing: a client left, or took too long."""

    def server_close(self) -> None:
        super().server_close()
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None


def _server_of(family: socket.AddressFamily) -> type[_Server]:
    class Server(_Server):
        address_family = family

    return Server
