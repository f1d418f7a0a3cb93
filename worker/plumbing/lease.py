"""The lease of a message: kept by extending its visibility, lost by the worker's own clock.

SQS cannot tell a lease that another worker has taken over: a receipt handle of an earlier receive
still gets 200. So the lease counts as lost as soon as this worker cannot prove by its own clock
that nobody else can have got the message. The clock goes on while the machine or the process is
paused. Every lease starts when its request was sent, not when the answer came: an answer that
waited for a paused process would make it look younger than it is.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Callable

from plumbing.console import say
from plumbing.errors import LeaseLost, MachineFault
from plumbing.stop_flag import Flag

# "can't extend ... to more than a total visibility timeout of 12 hours" from the receive
# (SQS, ChangeMessageVisibility).
LONGEST = 12 * 3600
# Lost so many seconds before SQS gives the message to somebody else; less if that would be a
# large part of a short visibility.
MARGIN = 10.0
# Shares of the visibility: when to extend, how soon again after an error, the margin's limit.
EXTEND_AFTER = 1 / 3
AGAIN_AFTER = 1 / 20
LARGEST_MARGIN = 1 / 4


def boot_clock() -> float:
    """Seconds on a clock that does not stop while the machine is suspended (Linux)."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def margin(visibility: float) -> float:
    """How many seconds before its end a lease counts as lost."""
    return min(MARGIN, visibility * LARGEST_MARGIN)


class Lease:
    """The right to work on one message. `extend(seconds)` asks SQS; `since` is the receive."""

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
        self.lost = Flag()

    @property
    def ends(self) -> float:
        """When the lease counts as lost unless it is extended before."""
        return self._granted_at + self._granted - margin(self._granted)

    def check(self) -> None:
        """Raises LeaseLost. Asks the clock: a thread that was paused too may not have told yet."""
        if self._clock() >= self.ends:
            raise LeaseLost("no extension of the lease succeeded in time")

    def keep_if_due(self) -> None:
        """Extend at once if it is time, where no thread does it; an error is for later to see."""
        if self._thread is None and self._clock() >= self._due():
            self._try_to_extend()

    def keeping(self, check: Callable[[], None]) -> Callable[[], None]:
        """The same check, which extends the lease as well, where no thread does it."""

        def checked() -> None:
            self.keep_if_due()
            check()

        return checked

    def keep(self) -> None:
        """Extend it from now on by a thread, until release(); once is enough.

        Raises MachineFault where there can be no other thread.
        """
        if self._thread is not None:
            return
        self._released.clear()
        thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise MachineFault(
                f"the machine can start no thread to keep the job: {error}"
            ) from None
        self._thread = thread

    def release(self) -> None:
        """Extend it no more, until keep(); none is under way, which would undo a give-back."""
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
        """A lease that has ended cannot be had again: between its end and its extension another
        worker may have got the message. So the answer counts only if it came before the end."""
        now = self._clock()
        # A second for the way to SQS, whose own count of the 12 h started before ours.
        seconds = int(min(self._visibility, self._received + LONGEST - now - 1))
        if seconds < 1 or now >= self.ends:
            return
        try:
            self._extend(seconds)
        # Whatever it is: without this thread the program would run on without a lease.
        except Exception as error:
            say(f"lease: not extended: {type(error).__name__}: {error}")
            return
        if self._clock() < self.ends:
            self._granted_at = now
            self._granted = float(seconds)
