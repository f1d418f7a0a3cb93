"""A run: its identity, its counts of jobs, its times."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from control.text import several

# done beats skipped beats failed.
STATES = ("done", "skipped", "failed")


@dataclass(frozen=True)
class Run:
    """run.json: what a run is. All that monitor and stop need, so that neither reads config.py."""

    app_name: str
    run_id: str
    bucket: str
    region: str
    account: str
    owner: str
    settings: dict[str, Any]
    queue_url: str = ""
    dead_letter_url: str = ""
    cluster: str = ""
    service: str = ""
    task_definition: str = ""
    log_group: str = ""
    submissions: int = 0
    fleets: list[dict[str, Any]] = field(default_factory=list)
    memory: dict[str, Any] = field(default_factory=dict)
    ended: str = ""
    end_reason: str = ""
    stopped: str = ""
    schedule: str = ""
    topic_arn: str = ""
    mailed: bool = False
    machine_time: dict[str, Any] = field(default_factory=dict)
    cheapest_since: float = 0.0

    @property
    def prefix(self) -> str:
        """Everything that the system itself writes about this run lies under it."""
        return run_prefix(self.app_name, self.run_id)


@dataclass(frozen=True)
class JobCounts:
    """How many jobs are in which state, from key names alone."""

    submitted: int
    done: int
    skipped: int
    failed: int

    @property
    def finished(self) -> int:
        return self.done + self.skipped + self.failed

    def in_words(self) -> str:
        """'1 job done, 0 skipped, 2 failed'."""
        return f"{several(self.done, 'job')} done, {self.skipped:,} skipped, {self.failed:,} failed"


def utc(now: float) -> str:
    """A time in seconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(now, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str) -> float:
    """The reverse of `utc`: seconds since 1970."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").timestamp()


def new_run_id(now: float) -> str:
    """The RUN_ID of a run that is set up at `now`; they sort by time."""
    return datetime.fromtimestamp(now, timezone.utc).strftime("%Y%m%dT%H%M%SZ")


def run_prefix(app_name: str, run_id: str) -> str:
    return f"runs/{app_name}/{run_id}/"
