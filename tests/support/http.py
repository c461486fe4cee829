"""A web server on this machine that gives files, and fails as web servers fail."""

import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = b"<!doctype html><title>Log in</title>"


@contextmanager
def serving(content):
    """Serves bytes by path; yields the server's address. /cut breaks off, /page is a page, /moved leads to /sam.pth."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/sam.pth")
                self.end_headers()
                return
            name = "/sam.pth" if self.path == "/cut" else self.path
            data = PAGE if self.path == "/page" else content.get(name)
            if data is None:
                self.send_error(404)
                return
            self.send_response(200)
            if self.path != "/unmeasured.pth":
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with suppress(ConnectionError):  # the client may have heard enough
                self.wfile.write(data[: len(data) // 2] if self.path == "/cut" else data)

        def log_message(self, *_):
            """The test's output is not the place."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
