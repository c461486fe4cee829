"""A line between a client and a server that can be cut without a word, as a closed laptop or a lost switch does."""

import contextlib
import socket
import threading


class Line:
    """Passes bytes on in both directions, until it is cut: then it swallows them, and says nothing to either side.

    Args:
        target: HOST:PORT of the server.
    """

    def __init__(self, target):
        host, _, port = target.rpartition(":")
        self._server = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listener]
        self._cut = threading.Event()
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def target(self):
        """Where clients reach it."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self):
        """From now on nothing passes on the connections that are open; new ones work."""
        self._cut.set()
        self._cut = threading.Event()

    def drop(self, target=None):
        """Ends the connections that are open, as a server does that is killed; new ones work.

        Args:
            target: HOST:PORT of the server that new ones reach, if another.
        """
        if target is not None:
            host, _, port = target.rpartition(":")
            self._server = (host, int(port))
        broken, self._sockets = self._sockets[1:], self._sockets[:1]
        _end(broken)

    def close(self):
        self._cut.set()
        _end(self._sockets)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                self._sockets += [client, server]
                self.connections += 1
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=(*ends, self._cut), daemon=True).start()

    def _pass(self, source, sink, cut):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not cut.is_set():
                    sink.sendall(data)


def _end(sockets):
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


class Proxy:
    """An HTTP proxy that notes what it is asked to connect to, and refuses it."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.asked = []
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    head = connection.recv(65536).decode()
                    if head:
                        self.asked.append(head.split("\r\n")[0].split(" ")[1])
                        connection.sendall(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
