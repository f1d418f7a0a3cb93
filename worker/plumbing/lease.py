"""The lease of a message: kept by extending its visibility, lost by the worker's own clock.

SQS does not report that another worker has the message: a receipt handle of an earlier receive
still gets 200. So the lease counts as lost as soon as this worker cannot prove by its own clock
that nobody else can have received the message. The clock runs while the machine or the process is
paused. Every lease starts when its request was sent, not when the answer came: an answer that
waited for a paused process would make it look younger than it is.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Callable

from plumbing.console import say
from plumbing.errors import JobFailed, LeaseLost
from plumbing.stop_flag import StopFlag

# "can't extend ... to more than a total visibility timeout of 12 hours" from the receive
# (SQS, ChangeMessageVisibility).
LONGEST = 12 * 3600
# Lost this many seconds before SQS gives the message to another worker; less if that would be a
# large part of a short visibility.
MARGIN = 10.0
# Shares of the visibility: when to extend, how soon again after an error, the margin's limit.
EXTEND_AFTER = 1 / 3
AGAIN_AFTER = 1 / 20
LARGEST_MARGIN = 1 / 4


def boot_clock() -> float:
    """Return seconds on a clock that runs while the machine is suspended (Linux)."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def margin(visibility: float) -> float:
    """Return how many seconds before its end a lease counts as lost."""
    return min(MARGIN, visibility * LARGEST_MARGIN)


class Lease:
    """The right to work on one message. `extend(seconds)` calls SQS; `since` is the receive."""

    def __init__(
        self,
        extend: Callable[[int], Any],
        visibility: int,
        since: float,
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        self._extend = extend
        self._visibility = visibility
        self._clock = clock
        self._received = since
        self._granted_at = since
        self._granted = float(visibility)
        self._released = threading.Event()
        self._thread: threading.Thread | None = None
        self.lost = StopFlag()

    @property
    def ends(self) -> float:
        """Return when the lease counts as lost unless it is extended before."""
        return self._granted_at + self._granted - margin(self._granted)

    def check(self) -> None:
        """Raise LeaseLost by the clock: the thread, which may have been paused, may be late."""
        if self._clock() >= self.ends:
            raise LeaseLost("no extension of the lease succeeded in time")

    def keep_if_due(self) -> None:
        """Extend now if it is time and no thread does it; an error only shows later."""
        if self._thread is None and self._clock() >= self._due():
            self._try_to_extend()

    def keeping(self, check: Callable[[], None]) -> Callable[[], None]:
        """Return the same check, which extends the lease too where no thread does it."""

        def checked() -> None:
            self.keep_if_due()
            check()

        return checked

    def keep(self) -> None:
        """Extend it by a thread from now on, until release(). Raise JobFailed if none can start."""
        if self._thread is not None:
            return
        self._released.clear()
        thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            reason = f"the machine cannot start a thread to keep the job: {error}"
            raise JobFailed(reason, cause="machine_error", machine=True) from None
        self._thread = thread

    def release(self) -> None:
        """Stop extending it, until keep(); wait for an extension, which would undo a give-back."""
        self._released.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def close(self) -> None:
        self.release()
        self.lost.close()

    def _due(self) -> float:
        return self._granted_at + self._visibility * EXTEND_AFTER

    def _keep(self) -> None:
        pause = self._due() - self._clock()
        while not self._released.wait(max(0.0, min(pause, self.ends - self._clock()))):
            try:
                self.check()
            except LeaseLost as error:
                self.lost.set(str(error))
                return
            self._try_to_extend()
            pause = max(self._due() - self._clock(), self._visibility * AGAIN_AFTER)

    def _try_to_extend(self) -> None:
        """Extend it. The answer counts only if it came before the end: after that another worker
        may have received the message."""
        now = self._clock()
        # A second for the way to SQS, whose 12 h started before ours.
        seconds = int(min(self._visibility, self._received + LONGEST - now - 1))
        if seconds < 1 or now >= self.ends:
            return
        try:
            self._extend(seconds)
        # Any exception: without this thread the program would run without a lease.
        except Exception as error:
            say(f"lease: not extended: {type(error).__name__}: {error}")
            return
        if self._clock() < self.ends:
            self._granted_at = now
            self._granted = float(seconds)
