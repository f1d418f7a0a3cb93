"""A machine's instance metadata (IMDSv2 only) and the ECS agent's credentials, on any address."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

ROLE = "worker-role"
INSTANCE, TYPE = "i-0123456789abcdef0", "m5.large"
NOTICE = '{"action": "terminate", "time": "2026-01-01T00:02:00Z"}'


@dataclass
class Metadata:
    """The answers of a machine. `asked` lists the requests: "PUT /latest/api/token 200"."""

    role: str = ROLE
    # Texts by their path below /latest/meta-data/.
    paths: dict[str, str] = field(default_factory=dict)
    # With a hop limit of 1 the token's answer does not reach a container.
    hops: int = 2
    token: str = "a-token"
    asked: list[str] = field(default_factory=list)
    announced: float = 0.0  # when the first request got an interruption notice, by time.monotonic()

    def answer(self, method: str, path: str, token: str | None) -> tuple[int, str] | None:
        """Return status and text, or None where no answer comes."""
        if path == "/latest/api/token":
            return (200, self.token) if self.hops > 1 and method == "PUT" else None
        if path == "/credentials":
            return 200, _OF_TASK
        if token != self.token:
            return 401, ""
        name = path.removeprefix("/latest/meta-data/")
        roles = "iam/security-credentials/"
        known = {roles: self.role, roles + self.role: _OF_MACHINE} if self.role else {}
        known |= {"instance-id": INSTANCE, "instance-type": TYPE, **self.paths}
        if name == "spot/instance-action" and name in known:
            self.announced = self.announced or time.monotonic()
        return (200, known[name]) if name in known else (404, "")


def _credentials(**more: str) -> str:
    """Return credentials as both services do; s3fs refuses fields that it does not know."""
    common = {
        "AccessKeyId": "ASIAROLE",
        "SecretAccessKey": "secret",
        "Token": "session",
        "Expiration": "2099-01-01T00:00:00Z",
    }
    return json.dumps({**common, **more})


_OF_MACHINE = _credentials(Code="Success", Type="AWS-HMAC", LastUpdated="2026-01-01T00:00:00Z")
_OF_TASK = _credentials(RoleArn=f"arn:aws:iam::123456789012:role/{ROLE}")
Server = http.server.ThreadingHTTPServer


@contextlib.contextmanager
def serving(
    metadata: Metadata,
    listen: Callable[[type[http.server.BaseHTTPRequestHandler]], Server] = lambda handler: Server(
        ("127.0.0.1", 0), handler
    ),
) -> Iterator[dict[str, str]]:
    """Serve the metadata during the block; give the environment that makes a worker ask it."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            token = self.headers.get("X-aws-ec2-metadata-token")
            answer = metadata.answer(self.command, self.path, token)
            metadata.asked.append(f"{self.command} {self.path} {answer[0] if answer else '-'}")
            if answer is None:
                # Until the other side stops waiting.
                self.rfile.read(1)
                return
            self.send_response(answer[0])
            self.send_header("Content-Length", str(len(answer[1])))
            if self.command == "PUT":
                seconds = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
                self.send_header("X-aws-ec2-metadata-token-ttl-seconds", seconds)
            self.end_headers()
            self.wfile.write(answer[1].encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = listen(Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    try:
        yield {
            "AWS_EC2_METADATA_DISABLED": "false",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{server.server_port}/",
        }
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
