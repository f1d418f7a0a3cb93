"""What the process that a job runs in does at its beginning and at its end; see fork_server.py."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import traceback
from typing import Any, Callable

from plumbing import own_lines, process_tree, resources

# What a fork must not be disturbed by: the handlers are those of the process that forks.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGUSR1)


def run(function: Callable[[], dict[str, Any]], parent: int, output: int, result: int) -> None:
    """Be the process of a job: call `function` and write its result, as JSON, into `result`.

    What it prints goes into `output`; both are the ends of pipes. Never returns.
    """
    code = 1
    try:
        os.setsid()
        process_tree.die_with_parent(parent)
        process_tree.adopt_orphans()
        resources.be_ended_first(resources.JOB_ENDS)
        _take_signals_and_output(output)
        answer = function()
        # Here, where all that was left is below this process: after its end that is not so.
        if _have_children():
            process_tree.kill(process_tree.below(os.getpid()))
        # A job may have closed them; what it did has succeeded all the same.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        with open(result, "wb") as file:
            file.write(json.dumps(answer).encode() + b"\n")
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(code)


def _take_signals_and_output(output: int) -> None:
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    own_lines.begin(1)
    os.close(nothing)
    # A second way into the pipe would keep it open when the job closes its output.
    os.close(output)
    # Line by line, and never failing on text that the terminal's encoding does not have.
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)


def _have_children() -> bool:
    """Whether something that the job started still runs; what has ended is waited for."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        return False
    return True
