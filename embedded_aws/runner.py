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
    exited: Callable[[int], None]  # is called once, with the exit code, after all output


class Runner(Protocol):
    """Starts and ends tasks. None of it waits for a task."""

    def start(self, run: TaskRun) -> None:
        """Start the task. Raises CannotStart."""

    def terminate(self, task_id: str) -> None:
        """SIGTERM to the task's program; nothing if it has ended."""

    def kill(self, task_id: str) -> None:
        """SIGKILL to all of the task; nothing if it has ended."""
