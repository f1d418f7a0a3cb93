"""Single containers, started and ended as the embedded AWS starts and ends tasks."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from embedded_aws.container_engine import ContainerEngine
from embedded_aws.container_leftovers import LABEL
from embedded_aws.container_runner import OUT_OF_MEMORY, ContainerRunner
from embedded_aws.task_runner import TaskRun
from tests.faults.site import until

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 120
_NUMBERS = itertools.count(1)


class Started:
    """A started task: its output and its end."""

    def __init__(self, runner, folder, container, environment):
        self.id = f"{os.getpid()}x{next(_NUMBERS)}"
        self.name = f"distributed-something-{self.id}"
        self.output = b""
        self.ending = None
        self._heard = threading.Condition()
        runner.start(
            TaskRun(
                id=self.id,
                container=container,
                environment=environment,
                folder=folder / self.id,
                write=self._write,
                exited=lambda code, reason: self._end((code, reason)),
                not_started=self._end,
            )
        )

    def _write(self, chunk):
        with self._heard:
            self.output += chunk
            self._heard.notify_all()

    def _end(self, ending):
        with self._heard:
            assert self.ending is None, "reported twice"
            self.ending = ending
            self._heard.notify_all()

    def wait(self, text=None):
        """Wait until it has written a text, or else for its end; return how it ended."""
        with self._heard:
            assert self._heard.wait_for(
                lambda: text in self.output if text else self.ending is not None, LIMIT
            ), self.output
            return self.ending


@pytest.fixture
def used_engine(engine, monkeypatch):
    """The engine as the embedded AWS uses it."""
    for name, value in engine.environ.items():
        monkeypatch.setenv(name, value)
    return ContainerEngine(engine.name)


@pytest.fixture
def runner(used_engine, tmp_path):
    made = ContainerRunner(used_engine, tmp_path)
    yield made
    made.close()


@pytest.fixture
def start(runner, base_image, tmp_path):
    """Starts a shell command in a container."""

    def start_it(script, environment=None, **container):
        container = {"image": base_image("bookworm"), "command": ["sh", "-c", script], **container}
        return Started(runner, tmp_path, container, environment or {})

    return start_it


def there(engine, name):
    return engine.run("inspect", name, check=False).returncode == 0


def test_output_and_exit_code_are_the_program_s_and_the_container_is_removed(engine, start):
    task = start("echo to stdout; echo to stderr >&2; exit 7")
    assert task.wait() == (7, "")
    assert sorted(task.output.splitlines()) == [b"to stderr", b"to stdout"]
    assert not there(engine, task.name)


def test_the_environment_arrives_as_it_is_and_nothing_else_of_this_computer(start, monkeypatch):
    monkeypatch.setenv("OF_THIS_COMPUTER", "x")
    values = {"TYPES": '{"A": "int"}', "LINES": "one\ntwo", "SPACED": " a # b ", "EMPTY": ""}
    task = start('printf "<%s>" "$TYPES" "$LINES" "$SPACED" "$EMPTY" "$OF_THIS_COMPUTER"', values)
    assert task.wait() == (0, "")
    assert task.output == b'<{"A": "int"}><one\ntwo>< a # b ><><>'


def test_memory_and_cpu_shares_are_those_of_the_definition(engine, runner, start):
    task = start("echo up; sleep 1000", memory=50, cpu=300)
    task.wait(b"up")
    form = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.CpuShares}}"
    told = engine.run("inspect", "--format", form, task.name).stdout.split()
    runner.kill(task.id)
    task.wait()
    assert told == [str(50 << 20), str(50 << 20), "300"]


def test_terminate_is_sigterm_to_the_program(runner, start):
    task = start("trap 'exit 5' TERM; echo up; while :; do sleep 0.1; done")
    task.wait(b"up")
    runner.terminate(task.id)
    assert task.wait() == (5, "")


def test_kill_ends_all_and_is_not_taken_for_want_of_memory(runner, start):
    task = start("sleep 1000 & echo up; sleep 1000", memory=50)
    task.wait(b"up")
    runner.kill(task.id)
    assert task.wait() == (137, "")


def test_an_order_that_comes_before_the_container_runs_is_not_lost(runner, start):
    task = start("sleep 1000")
    runner.kill(task.id)
    assert task.wait() == (137, "")


def test_a_container_that_somebody_else_kills_is_not_taken_for_want_of_memory(engine, start):
    task = start("echo up; sleep 1000", memory=50)
    task.wait(b"up")
    engine.run("kill", "--signal", "KILL", task.name)
    assert task.wait() == (137, "")


def test_a_program_that_takes_more_than_its_memory_ends_with_the_reason_that_ecs_gives(
    start, monkeypatch, tmp_path
):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    task = start("exec perl -e '$x = \"a\" x 300000000'", memory=50)
    assert task.wait() == (137, OUT_OF_MEMORY)
    assert list(here.iterdir()) == [], "the engine's own notes do not lie about"


@pytest.mark.parametrize(
    ("container", "kind", "names"),
    [
        ({"image": "localhost/no/such:image"}, "CannotPull", "no/such"),
        ({"command": ["/no/such/program"]}, "CannotStart", "/no/such/program"),
        ({"memory": "nonsense"}, "CannotCreate", "nonsense"),
    ],
    ids=["image", "program", "limit"],
)
def test_what_cannot_be_started_is_reported_in_the_words_of_ecs(
    engine, start, container, kind, names
):
    task = start("true", **container)
    reason = task.wait()
    assert reason.startswith(f"{kind}ContainerError: ") and names in reason
    assert not there(engine, task.name)


SERVER = """
import sys, time
from pathlib import Path
from embedded_aws.container_engine import ContainerEngine
from embedded_aws.container_runner import ContainerRunner
from embedded_aws.task_runner import TaskRun

program, folder, image, task = sys.argv[1:]
container = {"image": image, "command": ["sh", "-c", "echo up; sleep 1000"]}
runner = ContainerRunner(ContainerEngine(program), Path(folder))
write = lambda chunk: print(chunk.decode(), flush=True)
runner.start(TaskRun(task, container, {}, Path(folder) / "task", write, print, print))
time.sleep(1000)
"""


def test_containers_are_removed_when_their_server_is_killed(
    engine, used_engine, base_image, tmp_path
):
    task = f"{os.getpid()}x{next(_NUMBERS)}"
    name = f"distributed-something-{task}"
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, engine.name, tmp_path, base_image("bookworm"), task],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout.readline() == "up\n"
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()
        server.stdout.close()
    until(lambda: not there(engine, name), LIMIT)


def test_leftovers_are_removed_at_the_next_start_but_not_what_another_server_uses(
    engine, used_engine, start, base_image, tmp_path
):
    in_use = start("echo up; sleep 1000")
    in_use.wait(b"up")

    def leave(host, path):
        label = f"{LABEL}={host}:{path}"
        create = ("create", "--label", label, base_image("bookworm"), "true")
        return engine.run(*create).stdout.strip()

    dead = leave(socket.gethostname(), tmp_path / "ended" / "containers.lock")
    elsewhere = leave("another-computer", tmp_path / "ended" / "containers.lock")
    other = tmp_path / "other"
    other.mkdir()
    try:
        ContainerRunner(used_engine, other).close()
        left = [there(engine, name) for name in (dead, elsewhere, in_use.name)]
    finally:
        engine.run("rm", "--force", dead, elsewhere, check=False)
    assert left == [False, True, True]
