"""The state that the processes of one container share: busy workers, faults, task protection.

Some bytes of memory, and a pipe that wakes the container. Nothing here can block or be left locked
by a process that was killed. Only one side writes each byte, except for the row of faults: if two
workers add to it at the same moment, one may be lost and the container notices a job later.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import time
from typing import Callable

from plumbing.machine_health import MOST_FAULTS, Trouble

# The states of ECS's task protection, written by the container.
UNPROTECTED, PROTECTED, REFUSED, NOT_OFFERED = 0, 1, 2, 3
_PROTECTION, _FAULTS = 0, 1
# A job in the row of faults is known by this many bytes of a hash.
_JOB = 8
# What is kept of the cause and reason of the last one.
_REASON = 500
_LAST_FAULT = _FAULTS + MOST_FAULTS * _JOB
_FIRST_WORKER = _LAST_FAULT + _REASON
_POLL_SECONDS = 0.01


class SharedState:
    """Made by the container before it forks `workers` processes."""

    def __init__(self, workers: int) -> None:
        self._bytes = mmap.mmap(-1, _FIRST_WORKER + workers)
        self._workers = workers
        # The pipe by which workers and signals wake the container.
        self.wake_read, self.wake_write = os.pipe()
        for end in (self.wake_read, self.wake_write):
            os.set_blocking(end, False)

    @property
    def protection(self) -> int:
        return self._bytes[_PROTECTION]

    @protection.setter
    def protection(self, state: int) -> None:
        self._bytes[_PROTECTION] = state

    @property
    def faults(self) -> int:
        """Return how many jobs in a row failed for reasons of this machine, at most MOST_FAULTS."""
        return len(self._row())

    @property
    def last_fault(self) -> Trouble:
        """Return why the last of them failed."""
        kept = self._bytes[_LAST_FAULT:_FIRST_WORKER].rstrip(b"\0")
        cause, _, reason = kept.decode("utf-8", "ignore").partition(" ")
        return Trouble(cause, reason)

    def count_fault(self, job: str, fault: Trouble | None) -> None:
        """Count a job that failed for a reason of the machine; None clears the count.

        The same job counts once: the reason may be the job after all.
        """
        row = self._row() if fault else []
        mark = hashlib.sha256(job.encode()).digest()[:_JOB]
        if fault and mark not in row:
            row.append(mark)
        self._put(_FAULTS, _LAST_FAULT, b"".join(row))
        self._put(_LAST_FAULT, _FIRST_WORKER, " ".join(fault or ()).encode("utf-8", "replace"))

    def _put(self, start: int, end: int, content: bytes) -> None:
        size = end - start
        self._bytes[start:end] = content[:size].ljust(size, b"\0")

    def _row(self) -> list[bytes]:
        marks = (self._bytes[at : at + _JOB] for at in range(_FAULTS, _LAST_FAULT, _JOB))
        return [mark for mark in marks if any(mark)]

    def anybody_busy(self) -> bool:
        return any(self._bytes[_FIRST_WORKER:])

    def set_busy(self, worker: int, busy: bool) -> None:
        """Note whether a worker has a job, and wake the container."""
        if self._bytes[_FIRST_WORKER + worker] != busy:
            self._bytes[_FIRST_WORKER + worker] = busy
            if self.protection != NOT_OFFERED:
                self.wake()

    def wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self.wake_write, b"!")

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
        """Wait until the task is protected or protection was refused, for at most `seconds`."""
        deadline = clock() + seconds
        while self.protection == UNPROTECTED and clock() < deadline:
            wait(_POLL_SECONDS)
