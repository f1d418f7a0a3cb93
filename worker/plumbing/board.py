"""What the processes of one container share: who is busy, and what the container found out.

A few bytes of memory, each written by one side only, and a pipe that wakes the container. Nothing
here can block or be left locked by a process that was killed.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import time
from typing import Callable

# The states of ECS's task protection, written by the container.
UNPROTECTED, PROTECTED, REFUSED, NOT_OFFERED = 0, 1, 2, 3
_PROTECTION, _FAULTS, _FIRST_WORKER = 0, 1, 2
_POLL_SECONDS = 0.01


class Board:
    """Made by the container before it forks `workers` processes."""

    def __init__(self, workers: int) -> None:
        self._bytes = mmap.mmap(-1, _FIRST_WORKER + workers)
        self._workers = workers
        self.wake_read, self._wake_write = os.pipe()
        for end in (self.wake_read, self._wake_write):
            os.set_blocking(end, False)

    @property
    def wake_write(self) -> int:
        """Written to, it wakes the container: by workers, and by signals."""
        return self._wake_write

    @property
    def protection(self) -> int:
        return self._bytes[_PROTECTION]

    @protection.setter
    def protection(self, state: int) -> None:
        self._bytes[_PROTECTION] = state

    @property
    def faults(self) -> int:
        """Jobs in a row that failed for reasons of this machine."""
        return self._bytes[_FAULTS]

    def count_fault(self, is_one: bool) -> None:
        """Note how a job ended: one that did not fail for the machine's reasons ends the row."""
        self._bytes[_FAULTS] = min(self.faults + 1, 255) if is_one else 0

    def anybody_busy(self) -> bool:
        return any(self._bytes[_FIRST_WORKER:])

    def set_busy(self, worker: int, busy: bool) -> None:
        """Say that a worker has a job or has none any more; the container hears of it."""
        if self._bytes[_FIRST_WORKER + worker] != busy:
            self._bytes[_FIRST_WORKER + worker] = busy
            if self.protection != NOT_OFFERED:
                self.wake()

    def wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"!")

    def drain(self) -> None:
        """Forget what woke the container."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.wake_read, 4096):
                continue

    def wait_for_protection(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        """Wait until the task is protected, or protection was refused, for so many seconds."""
        deadline = clock() + seconds
        while self.protection == UNPROTECTED and clock() < deadline:
            wait(_POLL_SECONDS)
