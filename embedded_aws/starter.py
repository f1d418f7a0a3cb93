"""Start the server process and end it again."""

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
NEEDED = ("moto", "flask", "flask_cors", "cheroot")
INSTALL = "Install what it needs: python -m pip install -r files/requirements.txt"


class StartError(Exception):
    """The server could not be started: `what` happened, and `fix`, one thing to do."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what} {fix}")
        self.what = what
        self.fix = fix


@dataclass(frozen=True)
class Embedded:
    """A server that runs. `environment` makes boto3 use it, if no other AWS_... is set."""

    endpoint: str
    environment: dict[str, str]
    pid: int
    log: Path

    def over(self, environ: Mapping[str, str]) -> dict[str, str]:
        """`environ` with this AWS in it and nothing left of another: no profile, no session token,
        no endpoint of a single service."""
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
) -> Iterator[Embedded]:
    """AWS on this computer for the time of the block; afterwards nothing of it is left.

    `worker_folder` holds generic-worker.py; tasks get their folders and logs, the server its own
    log, below `state_folder`. `port` 0 takes a free one. `python` runs the workers. `fast` makes
    machines come up in fractions of a second. `grace` is how long tasks may take to end after
    SIGTERM, in seconds. With `engine`, docker or podman, each task is a container of its image,
    and the worker of that. Raises StartError.
    """
    for module in NEEDED:
        if importlib.util.find_spec(module) is None:
            raise StartError(f"The AWS on this computer needs the package {module}.", INSTALL)
    state_folder.mkdir(parents=True, exist_ok=True)
    log = state_folder / "server.log"
    command = [sys.executable, "-m", "embedded_aws", "--port", str(port)]
    command += ["--worker", str(worker_folder), "--state", str(state_folder), "--python", python]
    command += ["--grace", str(grace), "--engine", engine, *([] if fast else ["--slow"])]
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=_server_environment(),
            # Ctrl-C is for who started it; the server ends when its standard input does.
            start_new_session=True,
        )
    try:
        yield _ready(process, port, log)
    finally:
        _end(process, grace)


def _server_environment() -> dict[str, str]:
    """This package importable, and no credentials or endpoint of the user's own in sight."""
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
        told = json.loads(line)
        return Embedded(told["endpoint"], told["environment"], process.pid, log)
    if line is None:
        raise StartError(
            f"The AWS on this computer did not start within {START_SECONDS:.0f} s.",
            f"See {log}.",
        )
    last = (log.read_text(errors="replace").splitlines() or ["no message"])[-1]
    if "Address already in use" in last or "Errno 98" in last or "Errno 48" in last:
        raise StartError(f"Port {port} is taken by another program.", "Use another --port, or 0.")
    raise StartError(f"The AWS on this computer did not start: {last}", f"See {log}.")


def _first_line(stream: IO[bytes], seconds: float) -> bytes | None:
    """The first line, b"" at the end of the stream, None if neither comes in time."""
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
