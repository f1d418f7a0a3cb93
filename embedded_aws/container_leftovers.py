"""Remove the containers of a server that is gone, however it ended.

Containers carry a mark of the server that made them. The mark names this computer and a file that
the server locks while it lives, so that others can tell whether it still does.

As a program of its own, `container_leftovers.py ENGINE LABEL=VALUE` guards one server, with only
the standard library: its standard input is a pipe held by the server, and when that closes, even by
SIGKILL, it removes the containers that are left with this label.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from embedded_aws.container_engine import ContainerEngine

LABEL = "distributed-something.server"
GUARD_SECONDS = 30.0
CHECKS = 100
SECONDS_BETWEEN_CHECKS = 0.2


class Mark:
    """This server's mark, and the guard that removes its containers when the server is gone."""

    def __init__(self, engine: ContainerEngine, folder: Path) -> None:
        path = folder / "containers.lock"
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.label = f"{LABEL}={socket.gethostname()}:{path}"
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, engine.program, self.label],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def close(self) -> None:
        """Remove all containers with the mark; return when that is done."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        # After that the guard continues by itself.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._guard.wait(GUARD_SECONDS)
        os.close(self._lock)


def remove(engine: ContainerEngine) -> None:
    """Remove the containers of this computer's servers that no longer live."""
    listing = engine.run("ps", "--all", "--quiet", "--filter", f"label={LABEL}")
    for container in listing.stdout.split():
        form = f'{{{{index .Config.Labels "{LABEL}"}}}}'
        mark = engine.run("inspect", "--format", form, container).stdout.strip()
        host, _, path = mark.partition(":")
        if host == socket.gethostname() and path and not _is_held(Path(path)):
            engine.run("rm", "--force", "--volumes", container)


def _is_held(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError:
        # It is another user's, and only they can tell.
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def guard(engine: str, label: str) -> None:
    """Wait for the end of standard input; return when no container is left."""
    sys.stdin.buffer.read()
    clean = 0
    # Clean twice: the second check sees a container that was being made when the server ended.
    for _ in range(CHECKS):
        listing = _run(engine, "ps", "--all", "--quiet", "--filter", f"label={label}")
        left = listing.stdout.split()
        if left:
            # podman's `rm` alone would wait 10 s for those that ignore SIGTERM.
            _run(engine, "kill", *left)
            _run(engine, "rm", "--force", "--volumes", *left)
        clean = clean + 1 if listing.returncode == 0 and not left else 0
        if clean == 2:
            return
        time.sleep(SECONDS_BETWEEN_CHECKS)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    # `guard` repeats what fails.
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)


if __name__ == "__main__":
    guard(*sys.argv[1:])
