"""Tasks as processes of this computer, each below a process_supervisor.py of its own."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

from embedded_aws import process_supervisor
from embedded_aws.task_runner import CannotStart, TaskRun

CHUNK = 65536
# The variables of this computer that a task sees: none that changes how it uses AWS.
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "SYSTEMROOT")


class ProcessRunner:
    """Runs WORKER_FOLDER/generic-worker.py for each task, whatever its image is."""

    def __init__(self, worker_folder: Path, python: str) -> None:
        self._program = [python, "-u", str(worker_folder / "generic-worker.py")]
        self._supervisor = [python, "-I", "-S", process_supervisor.__file__]
        self._lock = threading.Lock()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, run: TaskRun) -> None:
        """Start the worker. Raise CannotStart."""
        if not Path(self._program[-1]).is_file():
            raise CannotStart(f"CannotPullContainerError: there is no file {self._program[-1]}")
        try:
            run.folder.mkdir(parents=True, exist_ok=True)
            process = subprocess.Popen(
                [*self._supervisor, *self._program],
                cwd=run.folder,
                env={**_of_this_computer(), **run.environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                # Ctrl-C at the terminal is for whoever started the server, not for the tasks.
                start_new_session=True,
            )
        except OSError as error:
            raise CannotStart(f"CannotStartContainerError: {error}") from error
        with self._lock:
            self._processes[run.id] = process
        name = f"task {run.id[:8]}"
        threading.Thread(target=self._follow, args=(run, process), name=name, daemon=True).start()

    def terminate(self, task_id: str) -> None:
        """Send SIGTERM to the worker alone."""
        self._order(task_id, b"T")

    def kill(self, task_id: str) -> None:
        """Send SIGKILL to the worker and all it started."""
        self._order(task_id, b"K")

    def close(self) -> None:
        """Do nothing: what a task has started ends with it."""

    def _order(self, task_id: str, order: bytes) -> None:
        with self._lock:
            process = self._processes.get(task_id)
        if process is None or process.stdin is None:
            return
        try:
            process.stdin.write(order)
        except BrokenPipeError:
            # It has ended; `_follow` is about to report that.
            return

    def _follow(self, run: TaskRun, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None and process.stdin is not None
        while chunk := process.stdout.read(CHUNK):
            run.write(chunk)
        code = process.wait()
        with self._lock:
            del self._processes[run.id]
            process.stdin.close()
        process.stdout.close()
        run.exited(code, "")


def _of_this_computer() -> dict[str, str]:
    return {name: os.environ[name] for name in KEPT if name in os.environ}
