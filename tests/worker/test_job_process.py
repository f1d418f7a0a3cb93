from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import subprocess
import threading
import time
from dataclasses import asdict

import pytest

from plumbing import job_process, process_tree
from plumbing.fork_server import ForkServer
from plumbing.job_process import Ending
from plumbing.outcome import Outcome
from plumbing.stop_flag import StopFlag


class Written:
    """Takes the output; `until` sets a flag when some text has come."""

    def __init__(self):
        self.data = b""
        self.size = 0
        self.text, self.flag = None, None

    def __call__(self, data):
        self.size += len(data)
        self.data = (self.data + data)[-1_000_000:]
        if self.flag and self.text in self.data:
            self.flag.set("it wrote what was waited for")

    def until(self, text, flag):
        self.text, self.flag = text, flag


def group_of(leader):
    """Return the living processes of a group."""
    found = []
    for name in os.listdir("/proc"):
        fields = process_tree._stat(int(name)) if name.isdigit() else []
        if fields and int(fields[2]) == leader and fields[0] != b"Z":
            found.append(int(name))
    return found


@contextlib.contextmanager
def forked(function):
    """Yield a process that calls a function, from a fork server of its own."""
    server = ForkServer(lambda argument: function())
    server.refresh()
    yield server.fork(None)
    server.close()


@pytest.fixture
def run(tmp_path):
    """Runs a function as a job's process; what it ended like, and what it wrote."""
    flags = [StopFlag(), StopFlag()]

    def run_it(function, seconds=20.0, stop_at=None, lose_at=None):
        written = Written()
        for text, flag in ((stop_at, flags[0]), (lose_at, flags[1])):
            if text:
                written.until(text, flag)

        with forked(lambda: function() or {}) as child:
            ending = job_process.watch(child, written, tmp_path, *flags, seconds)
        assert group_of(child.pid) == []
        return ending, written

    yield run_it
    for flag in flags:
        flag.close()


def sh(script):
    subprocess.run(["bash", "-c", script], check=True)


def test_the_result_of_the_function_and_what_it_wrote_come_back(run):
    def function():
        print("from Python")
        sh("echo from a program; echo to stderr >&2")
        return {"answer": 42}

    ending, written = run(function)

    assert ending.result["answer"] == 42
    assert written.data == b"from Python\nfrom a program\nto stderr\n"
    assert (ending.cut, ending.exit_code, ending.signal) == ("", 0, None)


def test_the_function_runs_in_a_session_of_its_own(run):
    ending, _ = run(lambda: {"session": os.getsid(0), "pid": os.getpid()})

    assert ending.result["session"] == ending.result["pid"] != os.getpid()


def test_a_crash_ends_the_job_and_not_the_worker(run):
    def function():
        faulthandler.disable()
        os.kill(os.getpid(), signal.SIGSEGV)

    ending, _ = run(function)

    assert ending.result is None
    assert ending.signal == "SIGSEGV"


def test_an_exception_of_the_function_itself_is_printed(run):
    def function():
        raise RuntimeError("a bug")

    ending, written = run(function)

    assert ending.result is None and ending.exit_code == 1
    assert b"RuntimeError: a bug" in written.data


def test_a_program_that_ignores_sigterm_is_ended_at_a_stop(run, monkeypatch):
    monkeypatch.setattr(job_process, "GRACE", 0.3)

    ending, _ = run(
        lambda: sh('trap "" TERM; sleep 300 & echo ready; while :; do sleep 1; done'),
        stop_at=b"ready",
    )

    assert ending.cut == job_process.STOPPED
    assert ending.cut_reason == "it wrote what was waited for"
    assert ending.result is None


def test_python_code_that_never_returns_is_ended_at_a_lost_lease(run):
    def function():
        print("ready", flush=True)
        while True:
            sum(range(10**6))

    ending, _ = run(function, lose_at=b"ready")

    assert ending.cut == job_process.LEASE_LOST


def test_what_takes_too_long_is_ended(run):
    ending, _ = run(lambda: sh("sleep 300"), seconds=0.3)

    assert ending.cut == job_process.TIMEOUT


@pytest.mark.parametrize("how", ["sleep 300 &", "setsid sleep 300 & disown;", "(sleep 300 &) &"])
def test_what_is_left_running_is_ended_with_the_job(run, tmp_path, how):
    def function():
        sh(f"{how} sleep 0.1")
        return {"below": [list(p) for p in process_tree.below(os.getpid())]}

    ending, _ = run(function)

    left = [process_tree.Process(*p) for p in ending.result["below"]]
    assert left and not process_tree.living(left)


def test_the_end_of_a_job_is_seen_though_a_process_that_it_forked_lives_on(run):
    """As multiprocessing forks them: without a program of their own, and with all open files."""

    def function():
        if os.fork() == 0:
            time.sleep(300)
        os.kill(os.getpid(), signal.SIGKILL)

    ending, _ = run(function, seconds=8.0)

    assert (ending.cut, ending.signal) == ("", "SIGKILL")


def test_a_flood_without_a_newline_is_read_to_its_end(run):
    ending, written = run(lambda: sh("head -c 100000000 /dev/zero"))

    assert ending.cut == "" and ending.exit_code == 0
    assert written.size == 100_000_000


def test_a_program_that_closes_its_output_is_waited_for_all_the_same(run, tmp_path):
    def function():
        sh("exec >&- 2>&-; sleep 0.3")
        os.close(1)
        os.close(2)
        time.sleep(0.3)
        (tmp_path / "finished").touch()

    before = time.process_time()
    ending, _ = run(function)

    assert ending.result is not None
    assert (tmp_path / "finished").exists()
    assert time.process_time() - before < 0.2  # no busy loop


def test_time_memory_and_disk_are_measured(run, tmp_path):
    def function():
        (tmp_path / "file").write_bytes(b"x" * 3_000_000)
        block = bytearray(200_000_000)
        until = time.process_time() + 0.2
        while time.process_time() < until:
            block[0] += 1
            block[0] = 0
        time.sleep(0.5)

    ending, _ = run(function)

    assert ending.cpu_seconds >= 0.2
    assert ending.peak_memory >= 200_000_000
    assert 3_000_000 <= ending.peak_disk < 4_000_000


def test_nothing_is_left_open_by_many_jobs(run):
    run(lambda: None)
    before = len(os.listdir("/proc/self/fd")), threading.active_count()

    for _ in range(5):
        run(lambda: None)

    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before


def test_a_process_is_ended_whose_output_cannot_be_taken(tmp_path):
    def breaks(data):
        raise ZeroDivisionError("a bug")

    def function():
        print("ready", flush=True)
        sh("sleep 300")

    flags = [StopFlag(), StopFlag()]
    with forked(function) as child, pytest.raises(ZeroDivisionError):
        job_process.watch(child, breaks, tmp_path, *flags, 20.0)

    assert group_of(child.pid) == []
    for flag in flags:
        flag.close()


def test_a_process_is_ended_that_has_not_even_begun(monkeypatch, tmp_path):
    real = os.setsid

    def late():
        time.sleep(0.5)
        real()

    monkeypatch.setattr(os, "setsid", late)
    monkeypatch.setattr(job_process, "GRACE", 0.6)
    stop, lost = StopFlag(), StopFlag()
    stop.set("a stop")

    with forked(lambda: time.sleep(300)) as child:
        ending = job_process.watch(child, print, tmp_path, stop, lost, 20.0)

    assert ending.cut == job_process.STOPPED
    assert process_tree._stat(child.pid) == []
    stop.close()
    lost.close()


def test_signals_have_names():
    assert job_process.signal_name(9) == "SIGKILL"
    assert job_process.signal_name(64 + 7) == "signal 71"


OK = {"outcome": None}
FAILED = {"outcome": asdict(Outcome("failed", "x exited with code 1", "exit_code", 1))}
KILLED, EXITED = 9, 7 << 8


@pytest.mark.parametrize(
    ("ending", "oom_killed", "kind", "cause", "machine"),
    [
        (Ending(OK), False, None, None, None),
        (Ending(OK), True, None, None, None),
        (Ending(FAILED), False, "failed", "exit_code", False),
        (Ending(FAILED), True, "failed", "out_of_memory", False),
        (Ending(None, EXITED), False, "failed", "exit_code", False),
        (Ending(None, KILLED), False, "failed", "signal", False),
        (Ending(None, KILLED), True, "failed", "out_of_memory", False),
        (Ending(None, 0, hangs=True), False, "failed", "machine_error", True),
        (Ending(cut=job_process.TIMEOUT), False, "failed", "timeout", False),
        (Ending(cut=job_process.TIMEOUT, hangs=True), False, "failed", "machine_error", True),
        (Ending(cut=job_process.STOPPED), False, "interrupted", "interrupted", False),
        (Ending(cut=job_process.STOPPED, hangs=True), False, "interrupted", "interrupted", True),
        (Ending(cut=job_process.LEASE_LOST), False, "lost", "", False),
    ],
    ids=str,
)
def test_what_the_end_of_a_process_means(ending, oom_killed, kind, cause, machine):
    judged = job_process.judge(ending, 60, oom_killed, 4000)

    assert (judged and judged.kind, judged and judged.cause) == (kind, cause)
    assert (judged and judged.machine) == machine
    if oom_killed and judged:
        assert "out of memory: the kernel killed " in judged.reason
        assert "MEMORY is 4000" in judged.reason
