"""Run tasks as containers, as the ECS agent does: their images, with CPU and memory limits."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embedded_aws import container_leftovers
from embedded_aws.container_engine import ContainerEngine, last_line
from embedded_aws.task_runner import CannotStart, TaskRun

CHUNK = 65536
KILLED = 137  # 128 and SIGKILL
SECONDS_BETWEEN_TRIES = 0.2
# What docker and podman report for a container whose program never began.
NEVER_BEGUN = ("created", "configured", "initialized")
ENDED = ("exited", "stopped", "dead", "removed")
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
LEAST_CPU_SHARES = 2  # the agent's minimum (ECS guide, task_definition_parameters)
_STATE = "{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}} {{.Id}}"


class ContainerRunner:
    """Runs the image of each task's container definition.

    They share this computer's network, so they reach AWS on loopback by the same address. No
    container is left after `close`, or after the end of this process, whatever ends it.
    """

    def __init__(self, engine: ContainerEngine, folder: Path) -> None:
        """Remove what a run that ended by a power failure has left."""
        self._engine = engine
        container_leftovers.remove(engine)
        self._mark = container_leftovers.Mark(engine, folder)
        self._lock = threading.Lock()
        self._names: dict[str, str] = {}
        self._killed: set[str] = set()

    def start(self, run: TaskRun) -> None:
        """Make and start the container, in a thread of its own: engines take their time."""
        with self._lock:
            self._names[run.id] = f"distributed-something-{run.id}"
        name = f"task {run.id[:8]}"
        threading.Thread(target=self._live, args=(run,), name=name, daemon=True).start()

    def terminate(self, task_id: str) -> None:
        """Send SIGTERM to process 1, as `docker stop` does."""
        self._order(task_id, "TERM")

    def kill(self, task_id: str) -> None:
        """Send SIGKILL to process 1, which ends all of the container."""
        with self._lock:
            self._killed.add(task_id)
        self._order(task_id, "KILL")

    def close(self) -> None:
        """Return when no container is left."""
        self._mark.close()

    def _order(self, task_id: str, signal: str) -> None:
        threading.Thread(target=self._send, args=(task_id, signal), daemon=True).start()

    def _send(self, task_id: str, signal: str) -> None:
        """Try again until the container runs or has ended."""
        while name := self._name(task_id):
            if self._engine.run("kill", "--signal", signal, name).returncode == 0:
                return
            time.sleep(SECONDS_BETWEEN_TRIES)

    def _name(self, task_id: str) -> str:
        with self._lock:
            return self._names.get(task_id, "")

    def _live(self, run: TaskRun) -> None:
        name = self._names[run.id]
        try:
            self._create(run, name)
            code, reason = self._run(run, name)
        except (CannotStart, OSError) as error:
            self._forget(run.id, name)
            kind = "" if isinstance(error, CannotStart) else "CannotCreateContainerError: "
            run.not_started(f"{kind}{error}")
            return
        self._forget(run.id, name)
        run.exited(code, reason)

    def _forget(self, task_id: str, name: str) -> None:
        with self._lock:
            del self._names[task_id]
            self._killed.discard(task_id)
        self._engine.run("rm", "--force", "--volumes", name)

    def _create(self, run: TaskRun, name: str) -> None:
        run.folder.mkdir(parents=True, exist_ok=True)
        file = run.folder / "environment"
        # Values of several lines do not fit into a file; the engine gets them in its environment.
        lines = {key: value for key, value in run.environment.items() if "\n" not in value}
        rest = {key: value for key, value in run.environment.items() if key not in lines}
        with open(file, "w", encoding="utf-8", opener=_private) as stream:
            stream.writelines(f"{key}={value}\n" for key, value in lines.items())
        try:
            made = self._engine.run(
                *("create", "--name", name, "--label", self._mark.label),
                *("--env-file", str(file), *(f"--env={key}" for key in rest)),
                *limits(run.container),
                # We read its output as it comes; the engine need not keep it, too.
                *("--network", "host", "--pull", "never", "--log-driver", "none"),
                run.container["image"],
                *(run.container.get("command") or ()),
                environment=rest,
            )
        finally:
            file.unlink()
        if made.returncode != 0:
            kind = "Create" if self._engine.has_image(run.container["image"]) else "Pull"
            raise CannotStart(f"Cannot{kind}ContainerError: {last_line(made.stderr)}")

    def _run(self, run: TaskRun, name: str) -> tuple[int, str]:
        """Start it and follow it to its end; return its exit code and ECS's reason, if any."""
        process = subprocess.Popen(
            [self._engine.program, "start", "--attach", name],
            # podman's helper leaves a file `oom` in this folder after an out-of-memory kill.
            cwd=run.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
        assert process.stdout is not None
        last = b""
        while chunk := process.stdout.read(CHUNK):
            run.write(chunk)
            last = (last + chunk)[-CHUNK:]
        process.stdout.close()
        process.wait()
        while True:
            status, code, oom_killed, container_id = self._state(name)
            if status in NEVER_BEGUN:
                why = last_line(last.decode(errors="replace"))
                raise CannotStart(f"CannotStartContainerError: {why}")
            if status in ENDED:
                break
            # It is about to end, or only the attached process was killed.
            self._engine.run("wait", name)
            time.sleep(SECONDS_BETWEEN_TRIES)
        with self._lock:
            killed = run.id in self._killed
        if code != KILLED or killed or not (oom_killed or kernel_killed_for_memory(container_id)):
            return code, ""
        return code, OUT_OF_MEMORY

    def _state(self, name: str) -> tuple[str, int, bool, str]:
        """Return status, exit code, whether the engine saw an out-of-memory kill, and the id."""
        asked = self._engine.run("inspect", "--format", _STATE, name)
        if asked.returncode != 0:
            # Somebody has removed it, and with it the exit code.
            return "removed", KILLED, False, ""
        status, code, oom_killed, container_id = asked.stdout.split()
        return status, int(code), oom_killed == "true", container_id


def limits(container: Mapping[str, Any]) -> list[str]:
    """Return the options for a definition's memory limit (MiB) and CPU share.

    There is no swap: machines made for ECS have none.
    """
    options = ["--cpu-shares", str(max(LEAST_CPU_SHARES, int(container.get("cpu") or 0)))]
    if memory := container.get("memory"):
        options += ["--memory", f"{memory}m", "--memory-swap", f"{memory}m"]
    return options


def kernel_killed_for_memory(container_id: str) -> bool:
    """Return whether the kernel's log reports an out-of-memory kill in this container.

    Not every engine notices one, and not every user may read that log: False then.
    """
    try:
        log = subprocess.run(["dmesg"], capture_output=True, text=True, errors="replace")
    except OSError:
        return False
    lines = (line for line in log.stdout.splitlines() if "oom-kill:" in line)
    return bool(container_id) and any(container_id in line for line in lines)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
