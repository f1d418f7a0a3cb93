"""A registry of images on loopback that takes what is pushed, and keeps only the paths.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push
"""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator


class _Server(http.server.ThreadingHTTPServer):
    received: list[str]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/v2/" else 404)

    def do_HEAD(self) -> None:
        self._answer(404)

    def do_POST(self) -> None:
        self._read()
        self._answer(202, f"{self.path}upload")

    def do_PATCH(self) -> None:
        self._read()
        self._answer(202, self.path)

    def do_PUT(self) -> None:
        self._read()
        self.server.received.append(self.path)
        self._answer(201, self.path)

    def _read(self) -> None:
        if self.headers.get("Transfer-Encoding") != "chunked":
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return
        while size := int(self.rfile.readline(), 16):
            self.rfile.read(size + 2)
        self.rfile.readline()

    def _answer(self, status: int, location: str = "") -> None:
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def running() -> Iterator[tuple[str, list[str]]]:
    """Run a registry; yield its address and the paths of the blobs and manifests it received."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.received = []
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", server.received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
