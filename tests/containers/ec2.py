"""A machine of EC2, as a container sees it: a network of its own, in which only instance metadata
(169.254.169.254), the ECS agent's credentials (169.254.170.2) and AWS answer.

The servers run in this process; only their sockets are in the machine's network. It has no way
out: what a container asks there is never asked of the real addresses.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.server
import itertools
import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

METADATA, AGENT = "169.254.169.254", "169.254.170.2"
ROLE = "worker-role"
TOKEN = "a-token"
INSTANCE, TYPE = "i-0123456789abcdef0", "m5.large"
# setns(2)
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_NUMBERS = itertools.count(1)
_T = TypeVar("_T")


class NoNetwork(Exception):
    """No network can be made here; the text says why."""


@dataclass
class Machine:
    """What the machine answers; `asked` is what it was asked for: "PUT /latest/api/token 200"."""

    network: Path
    role: str = ROLE
    # What lies at which path below /latest/meta-data/.
    paths: dict[str, str] = field(default_factory=dict)
    # A hop limit of 1: the token's answer does not reach a container.
    hops: int = 2
    asked: list[str] = field(default_factory=list)

    @property
    def options(self) -> list[str]:
        """What puts a container of podman into the machine's network."""
        return ["--network", f"ns:{self.network}"]

    def answer(self, method: str, path: str, token: str | None) -> tuple[int, str] | None:
        """Status and text; None where no answer comes."""
        if path == "/latest/api/token":
            return (200, TOKEN) if self.hops > 1 and method == "PUT" else None
        if path == "/credentials":
            return 200, _OF_TASK
        if token != TOKEN:
            return 401, ""
        name = path.removeprefix("/latest/meta-data/")
        roles = "iam/security-credentials/"
        known = {roles: self.role, roles + self.role: _OF_MACHINE} if self.role else {}
        known |= {"instance-id": INSTANCE, "instance-type": TYPE, **self.paths}
        return (200, known[name]) if name in known else (404, "")


def _credentials(**more: str) -> str:
    """As both services give them; s3fs refuses what has other fields than it knows."""
    common = {
        "AccessKeyId": "ASIAROLE",
        "SecretAccessKey": "secret",
        "Token": "session",
        "Expiration": "2099-01-01T00:00:00Z",
    }
    return json.dumps({**common, **more})


_OF_MACHINE = _credentials(Code="Success", Type="AWS-HMAC", LastUpdated="2026-01-01T00:00:00Z")
_OF_TASK = _credentials(RoleArn=f"arn:aws:iam::123456789012:role/{ROLE}")


@contextlib.contextmanager
def running(aws: str) -> Iterator[Machine]:
    """A machine from which `aws`, an endpoint on this computer's loopback, is reached as well."""
    with _network() as name, contextlib.ExitStack() as stack:
        for address in (METADATA, AGENT):
            _ip("-n", name, "addr", "add", f"{address}/32", "dev", "lo")
        machine = Machine(Path("/run/netns") / name)
        for address in (METADATA, AGENT):
            stack.enter_context(_answering(machine, address))
        stack.enter_context(_forwarding(machine.network, aws))
        yield machine


@contextlib.contextmanager
def elsewhere(aws: str) -> Iterator[Machine]:
    """A computer that is none of EC2, from which `aws` is reached: what is sent to the address of
    instance metadata is swallowed, which takes whoever waits for an answer the longest."""
    with _network() as name:
        # A cable to nobody.
        _ip("-n", name, "link", "add", "near", "type", "veth", "peer", "name", "far")
        _ip("-n", name, "addr", "add", "192.0.2.1/32", "dev", "near")
        for end in ("near", "far"):
            _ip("-n", name, "link", "set", end, "up")
        _ip("-n", name, "route", "add", f"{METADATA}/32", "dev", "near")
        machine = Machine(Path("/run/netns") / name)
        with _forwarding(machine.network, aws):
            yield machine


@contextlib.contextmanager
def _network() -> Iterator[str]:
    """The name of a network of its own, in which there is loopback only."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        raise NoNetwork("a network of its own takes root and the program ip (iproute2)")
    name = f"distributed-something-{os.getpid()}-{next(_NUMBERS)}"
    _ip("netns", "add", name)
    try:
        _ip("-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        _ip("netns", "del", name)


def _ip(*arguments: str) -> None:
    ended = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise NoNetwork(f"ip {' '.join(arguments)}: {ended.stderr.strip()}")


def _within(network: Path, make: Callable[[], _T]) -> _T:
    """Call `make` in a network: the sockets that it makes stay there."""
    made: list[_T] = []

    def run() -> None:
        with open(network) as file:
            if _LIBC.setns(file.fileno(), _CLONE_NEWNET) == 0:
                made.append(make())

    # setns changes the network of one thread.
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if not made:
        raise NoNetwork(f"{network} cannot be entered")
    return made[0]


@contextlib.contextmanager
def _answering(machine: Machine, address: str) -> Iterator[None]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self._do()

        def do_GET(self) -> None:
            self._do()

        def _do(self) -> None:
            token = self.headers.get("X-aws-ec2-metadata-token")
            answer = machine.answer(self.command, self.path, token)
            machine.asked.append(f"{self.command} {self.path} {answer[0] if answer else '-'}")
            if answer is None:
                # Until the other side gives up.
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

    server = _within(
        machine.network, lambda: http.server.ThreadingHTTPServer((address, 80), Handler)
    )
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def _forwarding(network: Path, endpoint: str) -> Iterator[None]:
    """The same address in the network as on this computer: each connection is handed on."""
    address = urlsplit(endpoint)
    where = (address.hostname or "", address.port or 80)
    listener = _within(network, lambda: socket.create_server(where))
    thread = threading.Thread(target=_forward, args=[listener, where])
    thread.start()
    try:
        yield
    finally:
        # Wakes the thread that accepts.
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def _forward(listener: socket.socket, where: tuple[str, int]) -> None:
    with contextlib.ExitStack() as stack:
        while True:
            try:
                near = stack.enter_context(listener.accept()[0])
            except OSError:
                return
            far = stack.enter_context(socket.create_connection(where))
            for source, target in ((near, far), (far, near)):
                thread = threading.Thread(target=_copy, args=[source, target])
                thread.start()
                stack.callback(thread.join)


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Until either side ends; then both have ended."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
