"""What makes tasks real: the one interface, so that processes and containers can take turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class CannotStart(Exception):
    """The task cannot be started; the text is what ECS gives as the reason."""


@dataclass(frozen=True)
class TaskRun:
    """A task to start: its container definition, its whole environment and its own folder."""

    id: str
    container: Mapping[str, Any]
    environment: Mapping[str, str]
    folder: Path
    write: Callable[[bytes], None]  # takes the task's output
    # One of these is called once, after all output: with the exit code and, if ECS would give one,
    # the reason; or, if it only turned out later, with what CannotStart says.
    exited: Callable[[int, str], None]
    not_started: Callable[[str], None]


class Runner(Protocol):
    """Starts and ends tasks. None of it waits for a task."""

    def start(self, run: TaskRun) -> None:
        """Start the task. Raises CannotStart."""

    def terminate(self, task_id: str) -> None:
        """SIGTERM to the task's program; nothing if it has ended."""

    def kill(self, task_id: str) -> None:
        """SIGKILL to all of the task; nothing if it has ended."""

    def close(self) -> None:
        """Return when nothing of any task is left; all have been killed or ended by now."""
