"""A machine's metadata service on loopback, which announces the machine's end when told to."""

from __future__ import annotations

import contextlib
import http.server
import threading
import time
from collections.abc import Iterator


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        self._answer(200, "token")

    def do_GET(self):
        path = self.path.removeprefix("/latest/meta-data/")
        if self.headers.get("X-aws-ec2-metadata-token") != "token":
            self._answer(401, "")
        elif path == "spot/instance-action" and self.server.notice:
            self.server.told = self.server.told or time.monotonic()
            self._answer(200, '{"action": "terminate", "time": "2026-01-01T00:00:00Z"}')
        elif path in ("instance-id", "instance-type"):
            self._answer(200, {"instance-id": "i-1", "instance-type": "m5.large"}[path])
        else:
            self._answer(404, "")

    def _answer(self, status, text):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def serving() -> Iterator[http.server.ThreadingHTTPServer]:
    """`notice` = True announces the end; `told` is when a container first heard of it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.notice, server.told = False, 0.0
    server.environ = {
        "AWS_EC2_METADATA_DISABLED": "false",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{server.server_port}/",
    }
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
