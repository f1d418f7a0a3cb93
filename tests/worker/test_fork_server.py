from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
import time

import pytest

from plumbing import fork_server, job_process, process_tree
from plumbing.fork_server import ForkServer
from plumbing.stop_flag import StopFlag

KNOWN = ["at first"]


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def make():
    made = []

    def make_one(function, clock=time.monotonic):
        made.append(ForkServer(function, clock))
        return made[-1]

    yield make_one
    for server in made:
        server.close()


@pytest.fixture
def ending_of(tmp_path):
    """Watches a child to its end; how it ended."""
    flags = [StopFlag(), StopFlag()]
    yield lambda child: job_process.watch(child, lambda data: None, tmp_path, *flags, 20.0)
    for flag in flags:
        flag.close()


def open_files():
    return len(os.listdir("/proc/self/fd"))


@contextlib.contextmanager
def nothing_left_open():
    before = open_files()
    yield
    assert open_files() == before


@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_child_is_the_servers_and_gets_what_it_is_forked_for(make, ending_of, size):
    server = make(lambda what: {"what": what, "parent": os.getppid()})
    server.refresh()
    what = {"text": "\u00e4/" * size, "none": None}

    result = ending_of(server.fork(what)).result

    assert result == {"what": what, "parent": server.pid}
    assert server.pid in {child.pid for child in process_tree.children(os.getpid())}


def test_it_goes_on_after_a_child_of_which_nobody_knows_how_it_ended(make, ending_of):
    server = make(lambda code: os._exit(code))
    server.refresh()

    assert [ending_of(server.fork(code)).exit_code for code in (7, 8)] == [7, 8]


def test_what_it_knows_is_renewed_now_and_then(make, ending_of, monkeypatch):
    """Above all the credentials of this process, which end after hours."""
    clock = Clock()
    server = make(lambda _: {"known": KNOWN}, clock)
    monkeypatch.setitem(globals(), "KNOWN", ["at first"])

    def known():
        server.refresh()
        return ending_of(server.fork(None)).result["known"]

    assert known() == ["at first"]
    KNOWN.append("later")
    first = server.pid
    clock.now += fork_server.RENEWED_AFTER - 1
    assert known() == ["at first"]
    assert server.pid == first
    clock.now += 1
    assert known() == ["at first", "later"]
    assert process_tree._stat(first) == []


def test_one_that_has_died_is_replaced_before_the_next_job(make, ending_of):
    server = make(dict)
    server.refresh()
    dead = server.pid
    os.kill(dead, signal.SIGKILL)
    while not process_tree.is_zombie(dead):
        time.sleep(0.01)

    server.refresh()

    assert server.pid != dead
    assert ending_of(server.fork({})).result == {}


def test_its_death_ends_the_job_and_the_worker(make, ending_of):
    """The container then cleans up after both, and starts another."""

    def function(_):
        if os.fork() == 0:
            # It escapes, with all files that are open in a child.
            os.setsid()
            time.sleep(15)
            os._exit(0)
        time.sleep(300)

    server = make(function)
    server.refresh()
    child = server.fork(None)
    killer = threading.Timer(0.2, os.kill, [server.pid, signal.SIGKILL])
    killer.start()
    started = time.monotonic()

    with pytest.raises(SystemExit) as ended:
        ending_of(child)

    assert str(ended.value) == fork_server.GONE
    assert time.monotonic() - started < 12
    assert process_tree._stat(child.pid)[:1] in ([], [b"Z"])
    killer.join()


def test_signals_for_the_whole_group_do_not_end_it_but_may_end_a_child(make, ending_of):
    def function(number):
        os.kill(os.getppid(), number)
        os.kill(os.getpid(), number)

    server = make(function)
    server.refresh()

    for number in (signal.SIGTERM, signal.SIGINT):
        assert ending_of(server.fork(number)).signal == number.name


def test_a_process_that_cannot_be_forked_is_an_error_that_leaves_nothing_open(
    make, ending_of, monkeypatch
):
    real, here = os.fork, os.getpid()

    def refuse():
        if os.getpid() == here:
            return real()
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    server = make(dict)
    server.refresh()

    with nothing_left_open(), pytest.raises(BlockingIOError):
        server.fork({})

    with pytest.raises(BlockingIOError):
        server.fork({})


def test_a_server_that_cannot_be_forked_is_an_error_that_leaves_nothing_open(make, monkeypatch):
    def refuse():
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)

    with nothing_left_open(), pytest.raises(BlockingIOError):
        make(dict).refresh()


def test_a_closed_one_leaves_no_process_and_nothing_open_though_another_holds_its_files(make):
    make(dict).close()
    with nothing_left_open():
        first, second = make(dict), make(dict)
        first.refresh()
        second.refresh()

        first.close()
        second.close()

    assert process_tree._stat(first.pid) == process_tree._stat(second.pid) == []
