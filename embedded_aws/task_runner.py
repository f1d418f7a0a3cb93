"""The interface of what runs tasks: processes or containers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class CannotStart(Exception):
    """The task cannot start; the text is the reason that ECS reports."""


@dataclass(frozen=True)
class TaskRun:
    """A task to start: its container definition, its whole environment and its own folder."""

    id: str
    container: Mapping[str, Any]
    environment: Mapping[str, str]
    folder: Path
    write: Callable[[bytes], None]  # takes the task's output
    # One of these is called once, after all output: with the exit code and, if ECS reports one, the
    # reason; or, if the task turns out not to start only later, with the text of CannotStart.
    exited: Callable[[int, str], None]
    not_started: Callable[[str], None]


class Runner(Protocol):
    """Starts and ends tasks. No method waits for a task."""

    def start(self, run: TaskRun) -> None:
        """Start the task. Raise CannotStart."""

    def terminate(self, task_id: str) -> None:
        """Send SIGTERM to the task's program; do nothing if it has ended."""

    def kill(self, task_id: str) -> None:
        """Send SIGKILL to all of the task; do nothing if it has ended."""

    def close(self) -> None:
        """Return when nothing of any task is left; all have been killed or ended by now."""
