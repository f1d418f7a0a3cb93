"""What a job has downloaded, as lines of its log: few, however many downloads there are."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Callable

from plumbing import own_lines

# So many downloads have a line each; then they are told together: before the next program, at the
# end of the job, and after so many seconds, so that a job is seen to go on.
SINGLY = 10
TOGETHER_SECONDS = 60.0


@dataclass
class _Several:
    """Downloads that are told together; `what` the last of them was."""

    what: str = ""
    downloads: int = 0
    files: int = 0
    size: int = 0
    seconds: float = 0.0


class Downloads:
    """Tells of them. A job may download in several threads."""

    def __init__(
        self,
        write: Callable[[str], object] = own_lines.write,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._clock = clock
        self._lock = threading.Lock()
        self._singly = 0
        self._told = 0.0
        self._untold = _Several()

    def add(self, what: str, files: int, size: int, seconds: float) -> None:
        """One download of so many files and bytes has ended well."""
        with self._lock:
            if self._singly < SINGLY:
                self._singly += 1
                self._say(what, files, size, seconds)
                return
            some = self._untold
            some.what, some.downloads = what, some.downloads + 1
            some.files, some.size = some.files + files, some.size + size
            some.seconds += seconds
            if self._clock() - self._told >= TOGETHER_SECONDS:
                self._say_together()

    def tell(self) -> None:
        """Tell of those that were not told of yet."""
        with self._lock:
            self._say_together()

    def _say_together(self) -> None:
        some, self._untold = self._untold, _Several()
        if some.downloads:
            several = f"{some.downloads:,} more, the last {some.what}"
            # Of several at the same time the seconds add up.
            what, total = (some.what, "") if some.downloads == 1 else (several, " in all")
            self._say(what, some.files, some.size, some.seconds, total)

    def _say(self, what: str, files: int, size: int, seconds: float, total: str = "") -> None:
        many = "1 file" if files == 1 else f"{files:,} files"
        self._write(f"downloaded: {what}: {many}, {size / 1e6:.3f} MB in {seconds:.1f} s{total}")
        self._told = self._clock()
