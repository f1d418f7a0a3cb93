"""The plumbing below generic-worker.py: a new worker needs no edit in this folder."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, Callable

from plumbing.errors import JobFailed

if TYPE_CHECKING:
    from plumbing.job import Job

__all__ = ["JobFailed", "main"]


def main(output_prefix: Callable[[Job], Any], run_job: Callable[[Job], object]) -> None:
    """Run the container until it is told to stop; never return.

    Exit with 0, or with 2 and a sentence if its settings are missing or wrong.
    """
    # Importing boto3 takes a while. If stopped before the first job, there is nothing to clean up.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: os._exit(0))
    from plumbing import container

    container.main(output_prefix, run_job)
