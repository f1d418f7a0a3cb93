from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from plumbing import process_tree


@pytest.fixture
def leader(tmp_path):
    """Starts a shell script as the leader of a session of its own, and waits until it is ready."""
    started = []

    def start(script):
        ready = tmp_path / "ready"
        child = subprocess.Popen(
            ["bash", "-c", f"{script}\ntouch {ready}\nwait"], start_new_session=True
        )
        started.append(child)
        deadline = time.monotonic() + 10
        while not ready.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return child

    yield start
    for child in started:
        process_tree.kill(process_tree.below(child.pid))
        child.kill()
        child.wait()


def test_everything_below_a_process_is_found(leader, until):
    child = leader("sleep 300 & (sleep 300 & sleep 300) &")

    # `touch` may not have ended.
    until(lambda: len(process_tree.below(child.pid)) == 4, pause=0.01)
    assert len(process_tree.children(child.pid)) == 2
    assert process_tree.memory(p.pid for p in process_tree.below(child.pid)) > 0


@pytest.mark.parametrize(
    "script",
    [
        "sleep 300 &",
        "trap '' TERM; sleep 300 & sleep 300 &",
        "setsid sleep 300 &",
        "setsid bash -c 'trap \"\" TERM; sleep 300 & wait' &",
    ],
    ids=["plain", "ignores SIGTERM", "left the group", "left it and ignores SIGTERM"],
)
def test_ending_a_process_leaves_nothing_of_it(leader, script):
    child = leader(script)
    found = process_tree.below(child.pid)
    assert found

    process_tree.end(child.pid, grace=0.3)

    assert process_tree.living(found) == set()
    assert child.wait(1) != 0


def test_a_program_may_tidy_up_within_the_grace(leader, tmp_path):
    tidied = tmp_path / "tidied"
    child = leader(f"trap 'sleep 0.2; touch {tidied}; exit' TERM; sleep 300 &")

    process_tree.end(child.pid, grace=10)

    assert tidied.exists()


def test_a_process_is_not_taken_for_another_of_the_same_number():
    sleeper = subprocess.Popen(["sleep", "300"])
    try:
        process_tree.kill({process_tree.Process(sleeper.pid, started=1)})
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_child_dies_with_its_parent(tmp_path):
    script = (
        "import subprocess, sys\n"
        "from plumbing import process_tree\n"
        "child = subprocess.Popen(['sleep', '300'], preexec_fn=process_tree.die_with_parent)\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(process_tree.__file__))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with parent.stdin, parent.stdout:
        pid = int(parent.stdout.readline())
        (sleeper,) = [p for p in process_tree.children(parent.pid) if p.pid == pid]
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + 5
    while process_tree.living([sleeper]):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(("parent", "code"), [("os.getppid()", 7), ("1", 1)])
def test_a_process_whose_parent_was_gone_before_it_could_tell_the_kernel_ends(parent, code):
    program = (
        "import os\nfrom plumbing import process_tree\n"
        f"process_tree.die_with_parent({parent})\nos._exit(7)"
    )
    worker = os.path.dirname(os.path.dirname(process_tree.__file__))
    environ = {**os.environ, "PYTHONPATH": worker}
    assert subprocess.run([sys.executable, "-c", program], env=environ).returncode == code


# Each holds so much memory that its end takes a moment.
FORKS = """
import os, time
for _ in range(20):
    if os.fork() == 0:
        held = bytearray(10_000_000)
        os.write(1, b".")
        time.sleep(300)
time.sleep(300)
"""


def test_members_of_a_group_whose_parent_has_ended_are_waited_for_too():
    """They are the children of another process by then, and not below the leader."""
    command = [sys.executable, "-c", FORKS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as child:
        assert child.stdout.read(20) == b"." * 20
        members = process_tree.below(child.pid)
        os.kill(child.pid, signal.SIGKILL)
        while not process_tree.is_zombie(child.pid):
            time.sleep(0.01)

        assert process_tree.end(child.pid, 0)
        assert len(members) == 20 and process_tree.living(members) == set()
