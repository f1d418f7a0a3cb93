"""What one worker process has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from plumbing.aws import Clients
from plumbing.environment import Settings
from plumbing.flag import Flag
from plumbing.job import Job
from plumbing.machine import Identity
from plumbing.settle import Settler


@dataclass(frozen=True)
class Worker:
    """`folder` is its own; `protect` waits for task protection."""

    settings: Settings
    clients: Clients
    settler: Settler
    stop: Flag
    folder: Path
    identity: Identity
    output_prefix: Callable[[Job], Any]
    run_job: Callable[[Job], object]
    protect: Callable[[], None]
