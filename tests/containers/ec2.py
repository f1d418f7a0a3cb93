"""A machine of EC2 as a container sees it: a network of its own, in which only instance metadata
(169.254.169.254), the ECS agent's credentials (169.254.170.2) and AWS answer.

The servers run in this process; only their sockets are in the machine's network. It has no way out,
so no container reaches the real addresses.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from tests.instance_metadata import Metadata, Server, serving

METADATA, AGENT = "169.254.169.254", "169.254.170.2"
# setns(2)
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_NUMBERS = itertools.count(1)
_T = TypeVar("_T")


class NoNetwork(Exception):
    """This computer cannot make a network; the text is the reason."""


@dataclass(kw_only=True)
class Machine(Metadata):
    """A machine and its network."""

    network: Path

    @property
    def options(self) -> list[str]:
        """The options that put a container of podman into the machine's network."""
        return ["--network", f"ns:{self.network}"]


@contextlib.contextmanager
def running(aws: str) -> Iterator[Machine]:
    """Provide a machine that also reaches `aws`, an endpoint on this computer's loopback."""
    with _network() as name, contextlib.ExitStack() as stack:
        for address in (METADATA, AGENT):
            _ip("-n", name, "addr", "add", f"{address}/32", "dev", "lo")
        machine = Machine(network=Path("/run/netns") / name)
        for address in (METADATA, AGENT):
            stack.enter_context(_answering(machine, address))
        stack.enter_context(_forwarding(machine.network, aws))
        yield machine


@contextlib.contextmanager
def elsewhere(aws: str) -> Iterator[Machine]:
    """Provide a computer outside EC2 that reaches `aws`. Its network drops what is sent to instance
    metadata: the case in which waiting for an answer takes longest."""
    with _network() as name:
        # A cable that ends nowhere.
        _ip("-n", name, "link", "add", "near", "type", "veth", "peer", "name", "far")
        _ip("-n", name, "addr", "add", "192.0.2.1/32", "dev", "near")
        for end in ("near", "far"):
            _ip("-n", name, "link", "set", end, "up")
        _ip("-n", name, "route", "add", f"{METADATA}/32", "dev", "near")
        machine = Machine(network=Path("/run/netns") / name)
        with _forwarding(machine.network, aws):
            yield machine


@contextlib.contextmanager
def _network() -> Iterator[str]:
    """Make a network with nothing but loopback; give its name."""
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
    """Call `make` inside a network: its sockets stay there."""
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


def _answering(machine: Machine, address: str) -> AbstractContextManager[object]:
    """Serve metadata and credentials on an address of the machine's network."""
    return serving(
        machine, lambda handler: _within(machine.network, lambda: Server((address, 80), handler))
    )


@contextlib.contextmanager
def _forwarding(network: Path, endpoint: str) -> Iterator[None]:
    """Listen on the endpoint's address inside the network and forward each connection to it."""
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
    """Copy until either side ends, then end both."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
