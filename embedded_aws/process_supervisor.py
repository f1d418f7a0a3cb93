"""Run one task's program as a container would: it and all it started end together.

Run as a program of its own, `task_process.py PROGRAM ARGUMENT...`; only the standard library.
Its standard input is a pipe held by who started it: `T` there sends SIGTERM to the program (to it
alone, like `docker stop` to PID 1), `K` or the end of the pipe (the other side died, even by
SIGKILL) kills all. Nothing outlives the program, as nothing outlives PID 1 of a container. The exit
code is the program's, or 128 and the signal's number, as docker reports it.
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
LOOKS_FOR_SURVIVORS = 10_000


def main(command: list[str]) -> int:
    """Run the command until it ends; returns its exit code."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    program = _start(command)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # Whoever signals us means the program.
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
        # Python ignores it, which an exec would hand on.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    os._exit(NO_SUCH_PROGRAM)


def _watch(program: int, wake: int) -> int:
    """Wait for the program's end and follow orders meanwhile; returns its wait status."""
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
    """Collect what has ended, orphans too; the program's status once it is among them."""
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
    """SIGKILL to everything below this process, again until there is nothing.

    As subreaper this process becomes the parent of all that loses its own, so on Linux nothing
    escapes, whatever process group or session it has made.
    """
    for _ in range(LOOKS_FOR_SURVIVORS):
        if not _kill_all_once():
            return
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            # Those found are not our own children yet; the next look will find them so.
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
            # The thread ended between the two looks.
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
