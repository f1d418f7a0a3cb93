"""Start the server process and end it."""

from __future__ import annotations

import importlib.util
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

START_SECONDS = 60.0
END_SECONDS = 60.0
PORT_TAKEN = 3  # exit code of the server
NEEDED = ("moto", "flask", "flask_cors", "cheroot")
INSTALL = "Install what it needs: python -m pip install -r files/requirements.txt"


class StartError(Exception):
    """The server did not start: `what` happened, and `fix`, the one thing to do."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what} {fix}")
        self.what = what
        self.fix = fix


@dataclass(frozen=True)
class Embedded:
    """A running server. `environment` makes boto3 use it if no other AWS_... is set."""

    endpoint: str
    environment: dict[str, str]
    pid: int
    log: Path

    def over(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return `environ` with this AWS in place of any other: no profile, no session token, no
        endpoint of a single service is left."""
        return {**_without_aws(environ), **self.environment}


@contextmanager
def running(
    worker_folder: Path,
    state_folder: Path,
    port: int = 0,
    python: str = sys.executable,
    fast: bool = True,
    grace: float = 10.0,
    engine: str = "",
    plugin: str = "",
) -> Iterator[Embedded]:
    """Serve AWS on this computer during the block; leave nothing running after it.

    `worker_folder` holds generic-worker.py. `state_folder` gets the folders and logs of tasks and
    the server's log. `port` 0 takes a free port. `python` runs the workers. `fast` starts machines
    in fractions of a second. `grace` is the time in seconds that tasks have to end after SIGTERM.
    With `engine`, docker or podman, each task is a container of its image, with that image's
    worker. `plugin` names a module whose `install(worlds)` runs before the first request. Raise
    StartError.
    """
    for module in NEEDED:
        if importlib.util.find_spec(module) is None:
            raise StartError(f"The AWS on this computer needs the package {module}.", INSTALL)
    state_folder.mkdir(parents=True, exist_ok=True)
    log = state_folder / "server.log"
    command = [sys.executable, "-m", "embedded_aws", "--port", str(port)]
    command += ["--worker", str(worker_folder), "--state", str(state_folder), "--python", python]
    command += ["--grace", str(grace), "--engine", engine, *([] if fast else ["--slow"])]
    command += ["--plugin", plugin] if plugin else []
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=_server_environment(),
            # Ctrl-C is for the caller; the server ends when its standard input does.
            start_new_session=True,
        )
    try:
        yield _ready(process, port, log)
    finally:
        _end(process, grace)


def _server_environment() -> dict[str, str]:
    """Make this package importable, and hide the user's own credentials and endpoints."""
    root = str(Path(__file__).resolve().parent.parent)
    kept = _without_aws(os.environ)
    path = os.pathsep.join(part for part in (root, kept.get("PYTHONPATH", "")) if part)
    return {**kept, "PYTHONPATH": path}


def _without_aws(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith("AWS_")}


def _ready(process: subprocess.Popen[bytes], port: int, log: Path) -> Embedded:
    assert process.stdout is not None
    line = _first_line(process.stdout, START_SECONDS)
    if line:
        answer = json.loads(line)
        return Embedded(answer["endpoint"], answer["environment"], process.pid, log)
    if line is None:
        raise StartError(
            f"The AWS on this computer did not start within {START_SECONDS:.0f} s.",
            f"See {log}.",
        )
    if process.wait(END_SECONDS) == PORT_TAKEN:
        raise StartError(f"Port {port} is taken by another program.", "Use another --port, or 0.")
    last = (log.read_text(errors="replace").splitlines() or ["no message"])[-1]
    raise StartError(f"The AWS on this computer did not start: {last}", f"See {log}.")


def _first_line(stream: IO[bytes], seconds: float) -> bytes | None:
    """Return the first line, b"" at the end of the stream, None if neither comes in time."""
    lines: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=lambda: lines.put(stream.readline()), daemon=True).start()
    try:
        return lines.get(timeout=seconds)
    except queue.Empty:
        return None


def _end(process: subprocess.Popen[bytes], grace: float) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    try:
        process.wait(END_SECONDS + 2 * grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
