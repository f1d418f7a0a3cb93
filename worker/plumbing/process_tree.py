"""Find, measure and end the processes below a job; none outlives its parents (Linux)."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from typing import Callable, Iterable, Iterator, NamedTuple

# prctl(2)
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True)
_PAGE = os.sysconf("SC_PAGE_SIZE")
_POLL_SECONDS = 0.02
# A process that lives longer after SIGKILL hangs in the kernel, mostly on a mount that is gone.
KILL_SECONDS = 5.0
# Fields of /proc/PID/stat, counted from the state on: proc(5).
_STATE, _PARENT, _GROUP, _STARTED = 0, 1, 2, 19


class Process(NamedTuple):
    """A process and when it started: its number alone may soon be another's."""

    pid: int
    started: int


def die_with_parent(parent: int | None = None) -> None:
    """Let the kernel kill this process when the thread that started it ends.

    If its `parent` ended before the kernel knew, this process ends here.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of all below this process whose own parents end before them."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children(pid: int) -> set[Process]:
    """Return the children of `pid`."""
    return set(_tree().get(pid, []))


def below(pid: int) -> set[Process]:
    """Return all descendants of `pid`."""
    tree = _tree()
    found: set[Process] = set()
    waiting = [pid]
    while waiting:
        for child in tree.get(waiting.pop(), []):
            found.add(child)
            waiting.append(child.pid)
    return found


def living(found: Iterable[Process]) -> set[Process]:
    """Return those that have not ended."""
    return {process for process in found if _lives(process)}


def is_zombie(pid: int) -> bool:
    """Return whether a child that nobody has waited for has ended."""
    return _stat(pid)[_STATE:1] in ([b"Z"], [])


def memory(pids: Iterable[int]) -> int:
    """Return the bytes of memory of these processes; shared memory counts for each."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError), open(f"/proc/{pid}/statm", "rb") as file:
            total += int(file.read().split()[1]) * _PAGE
    return total


def end(pid: int, grace: float, clock: Callable[[], float] = time.monotonic) -> bool:
    """End `pid`, its group and all below it: by SIGTERM, and after `grace` s by SIGKILL.

    Also those that have left the group. `pid` must lead its group, and nobody may have waited for
    it, so that its number cannot be another's; the caller waits for it. Return whether all have
    ended: a process that hangs in the kernel does not.
    """
    found = _belonging_to(pid)
    _signal_group(pid, signal.SIGTERM)
    _signal(found, signal.SIGTERM)
    deadline = clock() + grace
    while clock() < deadline and (found or not is_zombie(pid)):
        time.sleep(_POLL_SECONDS)
        found = living(found | _belonging_to(pid))
    found |= _belonging_to(pid)
    _signal_group(pid, signal.SIGKILL)
    # A process that was just forked may lead no group yet.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    all_ended = kill(found, clock)
    deadline = clock() + KILL_SECONDS
    while clock() < deadline and not is_zombie(pid):
        time.sleep(_POLL_SECONDS)
    return all_ended and is_zombie(pid)


def kill(found: set[Process], clock: Callable[[], float] = time.monotonic) -> bool:
    """Kill these and everything below them at once; return whether all have ended."""
    deadline = clock() + KILL_SECONDS
    while found:
        more = set().union(*(below(process.pid) for process in found))
        _signal(found | more, signal.SIGKILL)
        found = living(found | more)
        if found and clock() >= deadline:
            return False
        if found:
            time.sleep(_POLL_SECONDS)
    return True


def signal_name(number: int) -> str:
    """Return SIGKILL for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _belonging_to(leader: int) -> set[Process]:
    """Return all below it and in its group: orphans are the children of another process."""
    group = b"%d" % leader
    members = {one for one, fields in _all() if fields[_GROUP] == group and one.pid != leader}
    return below(leader) | members


def _tree() -> dict[int, list[Process]]:
    tree: dict[int, list[Process]] = {}
    for process, fields in _all():
        tree.setdefault(int(fields[_PARENT]), []).append(process)
    return tree


def _all() -> Iterator[tuple[Process, list[bytes]]]:
    for name in os.listdir("/proc"):
        fields = _stat(int(name)) if name.isdigit() else []
        if fields:
            yield Process(int(name), int(fields[_STARTED])), fields


def _stat(pid: int) -> list[bytes]:
    """Return the fields of /proc/PID/stat from the state on; [] without such a process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def _lives(process: Process) -> bool:
    fields = _stat(process.pid)
    return bool(fields) and fields[_STATE] != b"Z" and int(fields[_STARTED]) == process.started


def _signal_group(leader: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def _signal(found: Iterable[Process], number: int) -> None:
    for process in found:
        if _lives(process):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, number)
