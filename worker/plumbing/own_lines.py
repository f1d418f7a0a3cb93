"""Lines of the worker's own that a job's process writes into the log, among what its programs say.

They go the way of everything that the job prints, so that they stand where they belong, and behind
a mark, so that JobLog can tell them from what a program has written.
"""

from __future__ import annotations

import contextlib
import os
import sys

# Not what a program writes by chance; JobLog takes it away.
MARK = b"\x1e\x16own\x16\x1e"
# In bytes. A write of up to PIPE_BUF is never torn by what a program writes: pipe(7).
LONGEST = 4096

_log: tuple[int, int] | None = None


def begin(descriptor: int) -> None:
    """Remember which pipe leads to the job's log; without one nothing is written."""
    global _log
    _log = _identity(descriptor)


def write(text: str) -> None:
    """Write one line, after all that the job has printed so far."""
    if _log is None:
        return
    # The job may have closed its output, or put something else in its place.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    data = MARK + text.replace("\n", " ").encode("utf-8", "replace")
    # It may also have put a file of its own into the place of one, which is to hold nothing else.
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if _identity(descriptor) == _log:
                os.write(descriptor, data[: LONGEST - 1] + b"\n")
                return


def begun(data: bytes) -> int:
    """How many bytes at the end of `data` may be the beginning of a mark."""
    lengths = range(min(len(MARK) - 1, len(data)), 0, -1)
    return next((n for n in lengths if data.endswith(MARK[:n])), 0)


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino
