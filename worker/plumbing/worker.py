"""What one worker process has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Callable, Mapping, Tuple

from plumbing.aws_clients import Clients
from plumbing.fork_server import ForkServer
from plumbing.job import Job
from plumbing.machine import Identity
from plumbing.outcome import Settler
from plumbing.run_in_child import perform
from plumbing.settings import Settings
from plumbing.stop_flag import Flag

# Id, name, values and folder: what makes a job, in this process and in its own.
Order = Tuple[str, str, Mapping[str, Any], Path]


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

    @cached_property
    def fork_server(self) -> ForkServer:
        """Forks the processes in which orders are done."""
        return ForkServer(lambda order: perform(self.job_of(order), self.run_job))

    def job_of(self, order: Order) -> Job:
        job_id, name, values, folder = order
        return Job(
            id=job_id,
            name=name,
            values=values,
            config=self.settings.config,
            folder=folder,
            source_bucket=self.settings.source_bucket,
            s3=self.clients.s3_of_jobs,
        )
