"""Write to the container's standard output, which the awslogs driver ships."""

from __future__ import annotations

import os

STDOUT = 1
# A write of up to PIPE_BUF bytes is never mixed with another worker's: pipe(7).
WHOLE = 4096


def say(text: str) -> None:
    """Write one line."""
    write(text.replace("\n", " ").encode("utf-8", "replace") + b"\n")


def write(data: bytes) -> bool:
    """Write all of `data`; return False if nobody reads it, which is no reason to stop a job."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(STDOUT, view) :]
    except OSError:
        return False
    return True
