"""Start generic-worker.py so that it can be stopped from its first moment, also as process 1.

The kernel discards a SIGTERM for which a process 1 has no handler. The imports of generic-worker.py
may take long: told to stop meanwhile, it would take a job and be killed in the middle of it.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys


def _start(script: str) -> None:
    # If stopped before the first job, there is nothing to clean up.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: os._exit(0))
    # run-worker.sh blocks them.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
    # As Python does for a script: it can import the modules next to it.
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    sys.argv = sys.argv[1:]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    _start(sys.argv[1])
