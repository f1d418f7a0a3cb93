"""What the process of a job does with run_job(job), and what its end means."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import traceback
from typing import Any, Callable

from plumbing import outcome as settle
from plumbing import process
from plumbing.errors import MACHINE_ERRORS, JobFailed, MachineFault, os_reason
from plumbing.job import OUT_OF_MEMORY, Job, out_of_memory
from plumbing.outcome import Outcome
from plumbing.process import Ending

HANGS = "a process of the job hangs in the kernel and cannot be ended"


def perform(job: Job, run_job: Callable[[Job], object]) -> dict[str, Any]:
    """Run run_job in this process, which is the job's own; the result says how it ended."""
    os.chdir(job.temp_dir)
    os.environ["TMPDIR"] = str(job.temp_dir)
    result: dict[str, Any] = {
        **{"reason": None, "exit_code": None, "signal": None},
        **{"machine": False, "final": False},
    }
    try:
        run_job(job)
    except JobFailed as error:
        result.update(
            reason=str(error),
            exit_code=error.exit_code,
            signal=error.signal,
            machine=isinstance(error, MachineFault),
            final=not error.retry,
        )
    except OSError as error:
        _print_traceback()
        result.update(reason=os_reason(error), machine=error.errno in MACHINE_ERRORS)
    except BaseException as error:
        _print_traceback()
        result["reason"] = f"run_job raised {type(error).__name__}: {error}"
    job.downloads.tell()
    result["download_seconds"] = job.download_seconds
    return result


def _print_traceback() -> None:
    """Unless the job has closed its output."""
    with contextlib.suppress(OSError, ValueError):
        traceback.print_exc()


def os_failure(error: OSError) -> Outcome:
    """What an error of the operating system outside of run_job means."""
    return Outcome(settle.FAILED, os_reason(error), machine=error.errno in MACHINE_ERRORS)


def judge(ending: Ending, timeout: float, oom_killed: bool, memory: object) -> Outcome | None:
    """What the end of a job's process means; None if the job did what it should.

    `oom_killed`: meanwhile the kernel ended something in this container for want of memory.
    """
    outcome = _judge(ending, timeout, oom_killed, memory)
    if outcome and ending.hangs:
        return dataclasses.replace(outcome, reason=f"{outcome.reason}; {HANGS}", machine=True)
    return outcome


def _judge(ending: Ending, timeout: float, oom_killed: bool, memory: object) -> Outcome | None:
    if ending.cut == process.LEASE_LOST:
        return Outcome(settle.LOST, ending.cut_reason)
    if ending.cut == process.STOPPED:
        return Outcome(settle.INTERRUPTED, ending.cut_reason)
    if ending.cut == process.TIMEOUT:
        return Outcome(settle.FAILED, f"took longer than JOB_TIMEOUT ({timeout:g} s)")
    result = ending.result
    if result is None:
        what = "run_job's own process"
        if ending.signal == "SIGKILL" and oom_killed:
            reason = out_of_memory(what, memory)
        elif ending.hangs:
            reason = f"{what} ended without a result"
        else:
            reason = f"{what} was ended by {ending.signal or 'an exit'}"
        return Outcome(settle.FAILED, reason, ending.exit_code, ending.signal)
    if result["reason"] is None:
        return None
    return Outcome(
        settle.FAILED,
        _with_memory(result["reason"] or "failed without a reason", oom_killed, memory),
        result["exit_code"],
        result["signal"],
        machine=result["machine"],
        final=result["final"],
    )


def _with_memory(reason: str, oom_killed: bool, memory: object) -> str:
    """A program whose helper the kernel ended fails in words of its own, if with any."""
    if not oom_killed or reason.startswith(OUT_OF_MEMORY):
        return reason
    return f"{reason}; meanwhile {out_of_memory('a process of this container', memory)}"
