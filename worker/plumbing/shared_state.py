"""What the processes of one container share: who is busy, and what the container found out.

Some bytes of memory, and a pipe that wakes the container. Nothing here can block or be left locked
by a process that was killed. Each byte is written by one side only, but for the row of faults: of
two workers that add to it at the same moment one may be forgotten, so that the container finds out
a job later.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import time
from typing import Callable

from plumbing.machine import MOST_FAULTS

# The states of ECS's task protection, written by the container.
UNPROTECTED, PROTECTED, REFUSED, NOT_OFFERED = 0, 1, 2, 3
_PROTECTION, _FAULTS = 0, 1
# A job in the row of faults is known by so many bytes of a hash.
_JOB = 8
# What is kept of the reason of its last one.
_REASON = 500
_LAST_FAULT = _FAULTS + MOST_FAULTS * _JOB
_FIRST_WORKER = _LAST_FAULT + _REASON
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
        """Different jobs in a row that failed for reasons of this machine, MOST_FAULTS at most."""
        return len(self._row())

    @property
    def last_fault(self) -> str:
        """Why the last of them failed."""
        kept = self._bytes[_LAST_FAULT:_FIRST_WORKER].rstrip(b"\0")
        return kept.decode("utf-8", "ignore")

    def count_fault(self, job: str, why: str | None) -> None:
        """Note for which reason of the machine's a job failed: "" for none, None if it was not run
        to its end.

        The same job counts once: it may be the one that is unfit.
        """
        if why is None:
            return
        row = self._row() if why else []
        mark = hashlib.sha256(job.encode()).digest()[:_JOB]
        if why and mark not in row:
            row.append(mark)
        self._put(_FAULTS, _LAST_FAULT, b"".join(row))
        self._put(_LAST_FAULT, _FIRST_WORKER, why.encode("utf-8", "replace"))

    def _put(self, start: int, end: int, content: bytes) -> None:
        size = end - start
        self._bytes[start:end] = content[:size].ljust(size, b"\0")

    def _row(self) -> list[bytes]:
        marks = (self._bytes[at : at + _JOB] for at in range(_FAULTS, _LAST_FAULT, _JOB))
        return [mark for mark in marks if any(mark)]

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
