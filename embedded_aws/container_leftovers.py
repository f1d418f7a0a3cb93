"""Containers carry a mark of the server that made them, so that none outlives it.

The mark names this computer and a file that the server holds locked for as long as it lives: that
of another server is told from a dead one's by trying the lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import subprocess
import sys
from pathlib import Path

from embedded_aws import container_guard
from embedded_aws.container_engine import ContainerEngine

LABEL = "distributed-something.server"
GUARD_SECONDS = 30.0


class Mark:
    """This server's mark, and the guard that removes what bears it when the server is gone."""

    def __init__(self, engine: ContainerEngine, folder: Path) -> None:
        path = folder / "containers.lock"
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.label = f"{LABEL}={socket.gethostname()}:{path}"
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", container_guard.__file__, engine.program, self.label],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def close(self) -> None:
        """Have all removed that bears the mark; returns when that is done."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        # Beyond that it goes on by itself.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._guard.wait(GUARD_SECONDS)
        os.close(self._lock)


def remove(engine: ContainerEngine) -> None:
    """Remove the containers of servers of this computer that live no more."""
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
        # Another user's, who alone can tell.
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
