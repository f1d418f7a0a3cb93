"""Watch the process that a job runs in, its output, time and use; judge how it ended.

Each job gets a process, forked by fork_server.py, that leads a session. So everything that the job
does, its own Python code included, can be timed, measured and ended from outside, a crash ends the
job and not the worker, and nothing that one job leaves behind reaches the next.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from plumbing import machine, outcome, process_tree
from plumbing.fork_server import Child
from plumbing.outcome import Outcome
from plumbing.process_tree import signal_name
from plumbing.stop_flag import StopFlag

# The seconds of a program between SIGTERM and SIGKILL.
GRACE = 3.0
STOPPED, LEASE_LOST, TIMEOUT = "stopped", "lease lost", "timeout"
_CHUNK = 1 << 16
# How long a process left behind may keep the pipe open after its job's end.
_DRAIN_SECONDS = 1.0
_FIRST_SAMPLE, _LONGEST_SAMPLE = 0.25, 5.0
# A sample of memory and disk takes at most this share of the time.
_SAMPLE_SHARE = 0.01
_HANGS = "a process of the job hangs in the kernel and cannot be ended"


@dataclass
class Ending:
    """The end of a process. `cut` is STOPPED, LEASE_LOST, TIMEOUT, or "" if it ended by itself.

    `hangs`: it, or a process below it, hangs in the kernel and cannot be ended.
    """

    result: dict[str, Any] | None = None
    status: int = 0
    cut: str = ""
    cut_reason: str = ""
    hangs: bool = False
    cpu_seconds: float = 0.0
    peak_memory: int = 0
    peak_disk: int = 0

    @property
    def signal(self) -> str | None:
        return signal_name(os.WTERMSIG(self.status)) if os.WIFSIGNALED(self.status) else None

    @property
    def exit_code(self) -> int | None:
        return os.WEXITSTATUS(self.status) if os.WIFEXITED(self.status) else None


@dataclass
class _Sampler:
    """Follows the peaks of memory and disk, rarely enough not to matter."""

    pid: int
    folder: Path
    clock: Callable[[], float]
    due: float = 0.0
    pause: float = _FIRST_SAMPLE
    memory: int = 0
    disk: int = 0

    def __post_init__(self) -> None:
        self.due = self.clock() + self.pause

    def sample(self) -> None:
        started = self.clock()
        pids = {process.pid for process in process_tree.below(self.pid)} | {self.pid}
        self.memory = max(self.memory, process_tree.memory(pids))
        self.disk = max(self.disk, machine.used_disk(self.folder))
        now = self.clock()
        self.pause = min(2 * self.pause, _LONGEST_SAMPLE)
        self.due = now + max(self.pause, (now - started) / _SAMPLE_SHARE)


@dataclass
class _Reader:
    """Reads the output as it comes, and the result."""

    child: Child
    write: Callable[[bytes], None]
    pieces: list[bytes] = field(default_factory=list)
    output_open: bool = True
    result_open: bool = True

    def read(self, descriptor: int) -> None:
        data = os.read(descriptor, _CHUNK)
        if descriptor == self.child.output:
            self.output_open = bool(data)
            if data:
                self.write(data)
        else:
            self.result_open = bool(data)
            self.pieces.append(data)

    @property
    def result(self) -> dict[str, Any] | None:
        """Return the whole result, None until it is there or if it never came."""
        text = b"".join(self.pieces)
        return json.loads(text) if text.endswith(b"\n") else None


def watch(
    child: Child,
    write: Callable[[bytes], None],
    folder: Path,
    stop: StopFlag,
    lost: StopFlag,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> Ending:
    """Watch a process until it ends by itself, or end it; return how.

    It is ended on `stop`, on a `lost` lease, or after `seconds`. What it writes goes to `write`.
    Nothing of its group is left afterward, unless it hangs.
    """
    ending = Ending()
    sampler = _Sampler(child.pid, folder, clock)
    reader = _Reader(child, write)
    try:
        ending.cut = _follow(child, reader, sampler, stop, lost, clock() + seconds)
        ending.cut_reason = {STOPPED: stop.reason, LEASE_LOST: lost.reason}.get(ending.cut, "")
        if ending.cut or reader.result is None:
            ending.hangs = not process_tree.end(child.pid, GRACE if ending.cut else 0)
        _drain(child, reader, clock() + _DRAIN_SECONDS)
        usage = child.wait(not ending.hangs)
    except BaseException:
        _end(child)
        raise
    finally:
        os.close(child.output)
        os.close(child.result)
    ending.result = reader.result
    ending.status = usage.status
    ending.cpu_seconds = usage.cpu_seconds
    ending.peak_memory = max(sampler.memory, usage.peak_memory)
    ending.peak_disk = max(sampler.disk, machine.used_disk(folder))
    return ending


def judge(ending: Ending, timeout: float, oom_killed: bool, memory: object) -> Outcome | None:
    """Return what the end of a job's process means; None if run_job succeeded.

    `oom_killed`: meanwhile the kernel killed a process of this container since memory ran out;
    `memory` is MEMORY in MB.
    """
    judged = _judge(ending, timeout, oom_killed, memory)
    if judged and ending.hangs:
        cause = "machine_error" if judged.kind == outcome.FAILED else judged.cause
        reason = f"{judged.reason}; {_HANGS}"
        return dataclasses.replace(judged, reason=reason, cause=cause, machine=True)
    return judged


def _judge(ending: Ending, timeout: float, oom_killed: bool, memory: object) -> Outcome | None:
    if ending.cut == LEASE_LOST:
        return Outcome(outcome.LOST, ending.cut_reason)
    if ending.cut == STOPPED:
        return Outcome(outcome.INTERRUPTED, ending.cut_reason, "interrupted")
    if ending.cut == TIMEOUT:
        return Outcome(outcome.FAILED, f"took longer than JOB_TIMEOUT ({timeout:g} s)", "timeout")
    if ending.result is None:
        return _without_result(ending, oom_killed, memory)
    if ending.result["outcome"] is None:
        return None
    failed = Outcome(**ending.result["outcome"])
    if oom_killed and failed.cause != "out_of_memory":
        # A program whose helper the kernel killed fails with a message of its own, if any.
        why = machine.out_of_memory("a process of this container", memory)
        reason = f"{failed.reason}; meanwhile {why}"
        return dataclasses.replace(failed, reason=reason, cause="out_of_memory")
    return failed


def _without_result(ending: Ending, oom_killed: bool, memory: object) -> Outcome:
    what = "run_job's own process"
    cause = "signal" if ending.signal else "exit_code"
    reason = f"{what} was ended by {ending.signal or 'an exit'}"
    if ending.signal == "SIGKILL" and oom_killed:
        cause, reason = "out_of_memory", machine.out_of_memory(what, memory)
    elif ending.hangs:
        cause, reason = "machine_error", f"{what} ended without a result"
    return Outcome(outcome.FAILED, reason, cause, ending.exit_code, ending.signal)


def _end(child: Child) -> None:
    all_ended = process_tree.end(child.pid, 0)
    with contextlib.suppress(ChildProcessError):
        child.wait(all_ended)


def _follow(
    child: Child,
    reader: _Reader,
    sampler: _Sampler,
    stop: StopFlag,
    lost: StopFlag,
    deadline: float,
) -> str:
    """Read until the result is there or the process ended; return why to end it, else ""."""
    poller = _poller(child.output, child.result, stop.fileno(), lost.fileno())
    while reader.result_open and reader.result is None:
        now = sampler.clock()
        if now >= deadline:
            return TIMEOUT
        if now >= sampler.due:
            # Its result may stay open: a process that it forked without exec holds that too.
            if process_tree.is_zombie(child.pid):
                return ""
            sampler.sample()
        wait = min(deadline, sampler.due) - sampler.clock()
        for descriptor, _ in poller.poll(max(0.0, wait * 1000)):
            if descriptor == stop.fileno():
                return STOPPED
            if descriptor == lost.fileno():
                return LEASE_LOST
            reader.read(descriptor)
        if not reader.output_open:
            poller = _poller(child.result, stop.fileno(), lost.fileno())
    return ""


def _drain(child: Child, reader: _Reader, deadline: float) -> None:
    """Read what is still in the pipes, until all that could write have ended."""
    while reader.output_open or reader.result_open:
        is_open = {child.output: reader.output_open, child.result: reader.result_open}
        poller = _poller(*(descriptor for descriptor in is_open if is_open[descriptor]))
        ready = poller.poll(max(0.0, (deadline - time.monotonic()) * 1000))
        if not ready:
            return
        for descriptor, _ in ready:
            reader.read(descriptor)


def _poller(*descriptors: int) -> select.poll:
    poller = select.poll()
    for descriptor in descriptors:
        poller.register(descriptor, select.POLLIN)
    return poller
