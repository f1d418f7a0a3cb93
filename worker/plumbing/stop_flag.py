"""A flag that can be waited for together with pipes, and that a signal handler may set."""

from __future__ import annotations

import os
import select
import time
from typing import Callable


class StopFlag:
    """Set once, with the reason; from then on its file descriptor stays readable."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._read, self._write = os.pipe()
        self.reason = ""
        self.since: float | None = None

    @property
    def is_set(self) -> bool:
        return self.since is not None

    def set(self, reason: str) -> None:
        """Set it; the first reason stays."""
        if self.since is None:
            self.reason = reason
            self.since = self._clock()
            os.write(self._write, b"!")

    def wait(self, seconds: float) -> bool:
        """Wait until it is set, for at most `seconds`; return whether it is."""
        if not self.is_set:
            select.select([self._read], [], [], max(0.0, seconds))
        return self.is_set

    def fileno(self) -> int:
        return self._read

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)
