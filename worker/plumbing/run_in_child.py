"""The process that a job runs in, from its fork to its end; see fork_server.py."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import sys
import traceback
from typing import TYPE_CHECKING, Any, Callable

from plumbing import job_log, machine, outcome, process_tree
from plumbing.errors import JobFailed, failure_of

if TYPE_CHECKING:
    from plumbing.job import Job

# Blocked during a fork: the handlers are those of the process that forks.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGUSR1)


def run(function: Callable[[], dict[str, Any]], parent: int, output: int, result: int) -> None:
    """Be the process of a job: call `function` and write its result, as JSON, into `result`.

    What it prints goes into `output`; both are the ends of pipes. Never return.
    """
    code = 1
    try:
        os.setsid()
        process_tree.die_with_parent(parent)
        process_tree.adopt_orphans()
        machine.be_ended_first(machine.JOB_ENDS)
        _take_signals_and_output(output)
        answer = function()
        # Now: all that the job left is below this process only until its end.
        if _have_children():
            process_tree.kill(process_tree.below(os.getpid()))
        # A job may have closed them; it has succeeded anyway.
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


def perform(job: Job, run_job: Callable[[Job], object]) -> dict[str, Any]:
    """Call run_job in this process, which is the job's own.

    Return the fields of its Outcome, None if it succeeded, and the seconds of its downloads.
    """
    os.chdir(job.temp_dir)
    os.environ["TMPDIR"] = str(job.temp_dir)
    failed = None
    try:
        run_job(job)
    # Any: run_job may raise SystemExit too.
    except BaseException as error:
        if not isinstance(error, JobFailed):
            # Unless the job has closed its output.
            with contextlib.suppress(OSError, ValueError):
                traceback.print_exc()
        failed = dataclasses.asdict(outcome.failed(failure_of(error, "run_job")))
    job.downloads.report()
    return {"outcome": failed, "download_seconds": job.download_seconds}


def _take_signals_and_output(output: int) -> None:
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    job_log.begin_own(1)
    os.close(nothing)
    # A second descriptor would keep the pipe open when the job closes its output.
    os.close(output)
    # Line by line, and never failing on text that the terminal's encoding does not have.
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)


def _have_children() -> bool:
    """Return whether something that the job started still runs; wait for what has ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        return False
    return True
