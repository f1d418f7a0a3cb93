import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from embedded_aws import process_supervisor


@pytest.fixture
def start():
    """Start a Python program below a task_process; gives the process, its output being a pipe."""
    processes = []

    def start_program(code, program=None):
        program = program or [sys.executable, "-c", code]
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", process_supervisor.__file__, *program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        )
        processes.append(process)
        return process

    yield start_program
    for process in processes:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


# Prints its own pid and that of a child in a session of its own, and waits.
FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
print(os.getpid(), child.pid, flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("raise SystemExit(0)", 0),
        ("raise SystemExit(7)", 7),
        ("import os; os.kill(os.getpid(), 9)", 137),
    ],
    ids=["good", "bad", "killed"],
)
def test_exit_code_is_the_programs(start, code, expected):
    assert start(code).wait(20) == expected


def test_program_that_does_not_exist_has_exit_code_127(start):
    process = start("", ["/no/such/program"])
    assert process.wait(20) == 127
    assert process.stdout.read() == b"/no/such/program: No such file or directory\n"


def test_program_reads_an_empty_standard_input(start):
    process = start("import sys; print(repr(sys.stdin.read()))")
    assert process.stdout.read() == b"''\n"


def test_order_to_terminate_reaches_the_program_alone(start):
    process = start(
        """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
def end(number, frame):
    print("child", child.poll(), flush=True)
    child.kill()
    child.wait()
    sys.exit(5)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
time.sleep(1000)
"""
    )
    assert process.stdout.readline() == b"ready\n"
    process.stdin.write(b"T")
    assert process.wait(20) == 5
    assert process.stdout.read() == b"child None\n"


@pytest.mark.parametrize("way", ["order", "end of input"])
def test_kill_ends_the_whole_family(start, wait_for, way):
    process = start(FAMILY)
    family = [int(pid) for pid in process.stdout.readline().split()]
    if way == "order":
        process.stdin.write(b"K")
    else:
        process.stdin.close()
    assert process.wait(20) == 137
    assert not any(is_alive(pid) for pid in family)


def test_nothing_outlives_the_program(start):
    process = start(FAMILY.replace("time.sleep(1000)", "sys.exit(3)"))
    family = [int(pid) for pid in process.stdout.readline().split()]
    assert process.wait(20) == 3
    assert not any(is_alive(pid) for pid in family)


def test_program_dies_with_its_supervisor(start, wait_for):
    process = start(FAMILY)
    program, child = (int(pid) for pid in process.stdout.readline().split())
    process.send_signal(signal.SIGKILL)
    wait_for(lambda: not is_alive(program))
    os.kill(child, signal.SIGKILL)


def test_grandchild_whose_parent_ended_is_found(start):
    process = start(
        """
import os, subprocess, sys
code = "import subprocess; print(subprocess.Popen(['sleep', '1000']).pid, flush=True)"
subprocess.run([sys.executable, "-c", code], start_new_session=True)
"""
    )
    grandchild = int(process.stdout.readline())
    assert process.wait(20) == 0
    assert not is_alive(grandchild)
