"""A process of the worker's own that only forks the processes of jobs.

After a fork a page of memory is copied when either side touches it. A worker that settles a job
touches some 2,000, which costs more than the fork itself; a process that only forks and waits
touches hardly any. And the worker may have threads: a process with threads must not fork.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any, Callable, NoReturn

from plumbing import process_tree, run_in_child

# What a job's process inherits, above all AWS's credentials, is no older than this when the worker
# receives its job. botocore renews credentials 15 minutes before they end.
RENEWED_AFTER = 300.0
GONE = "the process that starts jobs has ended: a job may have killed it"


@dataclass(frozen=True)
class Usage:
    """The end of a process (status of waitpid) and what it used, in seconds and bytes."""

    status: int = 0
    cpu_seconds: float = 0.0
    peak_memory: int = 0


@dataclass(frozen=True)
class Child:
    """A job's process: `output` is what it writes, `result` what its function returns.

    `wait`: wait for its end, or with False only look; nobody waits for it before, so that its
    number stays its own.
    """

    pid: int
    output: int
    result: int
    wait: Callable[[bool], Usage]


class ForkServer:
    """Forks processes that call `function` with the argument of fork(); it must return JSON.

    The server runs from refresh() until close(), or until the process that made it ends.
    """

    def __init__(
        self,
        function: Callable[[Any], dict[str, Any]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._function = function
        self._clock = clock
        self._connection: Connection | None = None
        self._since = 0.0
        self.pid = 0

    def refresh(self) -> None:
        """Start a server unless one lives that was forked less than RENEWED_AFTER s ago.

        Not while there is another thread or a child to wait for. Raise OSError.
        """
        # Without a request there is nothing to read but its end.
        lives = self._connection is not None and not self._connection.poll()
        if not lives or self._clock() >= self._since + RENEWED_AFTER:
            self.close()
            self._begin()

    def fork(self, argument: Any) -> Child:
        """Return a new process that calls the function with `argument`. Raise OSError."""
        output, output_in_child = os.pipe()
        result, result_in_child = os.pipe()
        try:
            pid = self._ask(argument, output_in_child, result_in_child)
        except BaseException:
            os.close(output)
            os.close(result)
            raise
        finally:
            os.close(output_in_child)
            os.close(result_in_child)
        return Child(pid, output, result, lambda block: self._ask((pid, block)))

    def close(self) -> None:
        """End the server, if there is one."""
        if self._connection is None:
            return
        # Another fork may hold the connection and keep it open.
        with contextlib.suppress(ConnectionError):
            self._connection.send(None)
        self._connection.close()
        self._connection = None
        os.waitpid(self.pid, 0)

    def _begin(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        mine, its = Pipe()
        # Never unblocked: signals to a whole group of processes are for the worker.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, run_in_child.SIGNALS)
        try:
            self.pid = os.fork()
            if self.pid == 0:
                mine.close()
                _serve(its, self._function, parent)
        except OSError:
            mine.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            its.close()
        self._connection, self._since = mine, self._clock()

    def _ask(self, order: Any, *descriptors: int) -> Any:
        """Return its answer. If it has ended this process ends too: the container then cleans up
        what jobs left behind, and starts another worker."""
        if self._connection is None:
            _end()
        try:
            self._connection.send((order, len(descriptors)))
            for descriptor in descriptors:
                send_handle(self._connection, descriptor, self.pid)
            answer = self._connection.recv()
        except (ConnectionError, EOFError):
            _end()
        if isinstance(answer, OSError):
            raise answer
        return answer


def _end() -> NoReturn:
    sys.exit(GONE)


def _serve(connection: Connection, function: Callable[[Any], dict[str, Any]], parent: int) -> None:
    """Be the server until told to end or the connection is closed; never return."""
    code = 1
    try:
        process_tree.die_with_parent(parent)
        # All that exists now stays shared with the jobs' processes.
        gc.freeze()
        while True:
            request = connection.recv()
            if request is None:
                os._exit(0)
            order, count = request
            descriptors = [recv_handle(connection) for _ in range(count)]
            try:
                if descriptors:
                    answer: Any = _fork(connection, partial(function, order), *descriptors)
                else:
                    answer = _wait(*order)
            except OSError as error:
                answer = error
            connection.send(answer)
    except (ConnectionError, EOFError):
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _fork(
    connection: Connection, function: Callable[[], dict[str, Any]], output: int, result: int
) -> int:
    parent = os.getpid()
    try:
        pid = os.fork()
        if pid == 0:
            # While it is open anywhere, nobody sees that the server has ended.
            connection.close()
            run_in_child.run(function, parent, output, result)
    finally:
        os.close(output)
        os.close(result)
    return pid


def _wait(pid: int, block: bool) -> Usage:
    _, status, usage = os.wait4(pid, 0 if block else os.WNOHANG)
    return Usage(status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
