"""Run one task's program as a container would: it and all it started end together.

Run as a program of its own, `process_supervisor.py PROGRAM ARGUMENT...`; only the standard library.
Its standard input is a pipe held by its starter: `T` there sends SIGTERM to the program alone, as
`docker stop` does to PID 1; `K` or the end of the pipe (the starter died, even by SIGKILL) kills
all. Nothing outlives the program, as nothing outlives PID 1 of a container. The exit code is the
program's, or 128 plus the signal's number, as docker reports it.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
NO_SUCH_PROGRAM = 127
MOST_ROUNDS = 10_000


def main(command: list[str]) -> int:
    """Run the command until it ends; return its exit code."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    program = _start(command)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # A signal to us is meant for the program.
    signal.signal(signal.SIGTERM, lambda *_: _send(program, signal.SIGTERM))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    status = _watch(program, wake_read)
    kill_descendants()
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _start(command: list[str]) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    # In the child, which must never return.
    try:
        os.setsid()
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(128 + signal.SIGKILL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        # Python ignores SIGPIPE, and exec keeps that.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    os._exit(NO_SUCH_PROGRAM)


def _watch(program: int, wake: int) -> int:
    """Wait for the program's end, follow orders meanwhile, return its wait status."""
    orders = True
    while True:
        status = _reaped(program)
        if status is not None:
            return status
        readable, _, _ = select.select([wake, 0] if orders else [wake], [], [])
        if wake in readable:
            os.read(wake, 4096)
        if 0 in readable:
            order = os.read(0, 1)
            if order == b"T":
                _send(program, signal.SIGTERM)
            else:
                orders = orders and order == b"K"
                _kill_all_once()


def _reaped(program: int) -> int | None:
    """Collect ended processes, orphans too; return the program's status once it has ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return 0
        if pid == 0:
            return None
        if pid == program:
            return status


def kill_descendants() -> None:
    """Kill everything below this process, again until nothing is left.

    As subreaper this process becomes the parent of all that lose theirs, so on Linux nothing
    escapes, whatever process group or session it has made.
    """
    for _ in range(MOST_ROUNDS):
        if not _kill_all_once():
            return
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            # They are not our own children yet; by the next round they are.
            continue


def _kill_all_once() -> bool:
    found = _descendants(os.getpid())
    for pid in found:
        _send(pid, signal.SIGKILL)
    return bool(found)


def _descendants(root: int) -> list[int]:
    found: list[int] = []
    left = [root]
    while left:
        children = _children(left.pop())
        found += children
        left += children
    return found


def _children(pid: int) -> list[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    children: list[int] = []
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children") as listing:
                children += [int(child) for child in listing.read().split()]
        except OSError:
            # The thread ended meanwhile.
            continue
    return children


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        # It ended just now.
        return


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
