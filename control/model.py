"""A run: its identity, its fleets, its counts of jobs, its times; the states and causes of jobs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from control.config import Config, config_of_values
from control.text import several

# Of several records of a job the first of these counts.
STATES = ("done", "skipped", "cancelled", "failed")
# Why an attempt or a job ended as it did (documentation/contract.md): the worker has the same list.
CAUSES = (
    *("out_of_memory", "timeout", "disk_full", "machine_error", "exit_code", "signal"),
    *("output_match", "job_failed", "exception", "missing_input", "missing_program"),
    *("missing_module", "missing_value", "no_output", "bad_output", "refused_by_aws"),
    *("aws_unavailable", "not_a_job", "worker_error", "killed", "interrupted", "cancelled"),
    "already_done",
)
_RUN_ID = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class FleetEntry:
    """A request for machines in run.json; `fleet_id` is "" until EC2 has confirmed it.

    `target` is how many machines the user has confirmed, in the request or in a later resize.
    """

    template: str
    template_data: dict[str, Any]
    request: dict[str, Any]
    target: int
    requested: str
    fleet_id: str = ""

    @property
    def valid_until(self) -> float:
        """Return when EC2 ends the fleet, in seconds since 1970."""
        return seconds(self.request["ValidUntil"])

    @property
    def hourly_limit(self) -> float | None:
        """Return the dollars an hour that EC2 lets the fleet cost, if it has a limit."""
        limit = self.request.get("SpotMaxTotalPrice")
        return float(limit) if limit else None

    @property
    def machine_types(self) -> set[str]:
        """Return the machine types that the fleet was requested with."""
        launches = self.request["LaunchTemplateConfigs"]
        return {one["InstanceType"] for launch in launches for one in launch["Overrides"]}


@dataclass(frozen=True)
class Run:
    """A run in run.json: all that monitor and stop need, so that neither reads config.py.

    `config` holds the settings of the last setup. `sending` has the submit commands that have not
    finished, by number, with the number of their last part whose jobs are all sent;
    `sending_again` those with --again, until an --again has sent all its jobs.
    """

    app_name: str
    run_id: str
    bucket: str
    region: str
    account: str
    owner: str
    config: Config
    queue_url: str = ""
    dead_letter_url: str = ""
    cluster: str = ""
    service: str = ""
    task_definition: str = ""
    log_group: str = ""
    submissions: int = 0
    sending: dict[str, int] = field(default_factory=dict)
    sending_again: list[int] = field(default_factory=list)
    fleets: tuple[FleetEntry, ...] = ()
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
        """Return the prefix of everything that the system itself writes about this run."""
        return run_prefix(self.app_name, self.run_id)

    @property
    def began(self) -> float:
        """Return when the run was set up, in seconds since 1970: its RUN_ID is that time."""
        return datetime.strptime(self.run_id, _RUN_ID).replace(tzinfo=timezone.utc).timestamp()

    def as_json(self) -> dict[str, Any]:
        """Return the content of run.json."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        fleets = [dataclasses.asdict(entry) for entry in self.fleets]
        return {**fields, "config": self.config.container_values(), "fleets": fleets}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Run:
        """Return the run of a run.json. Raise UserError for a setting of the wrong type."""
        known = {field.name for field in dataclasses.fields(cls)}
        fields = {name: value for name, value in content.items() if name in known}
        fields["config"] = config_of_values(content["config"])
        fields["fleets"] = tuple(FleetEntry(**entry) for entry in content["fleets"])
        return cls(**fields)


@dataclass(frozen=True)
class JobCounts:
    """Jobs of a run by state, from key names alone."""

    submitted: int
    done: int
    skipped: int
    failed: int
    cancelled: int = 0

    @property
    def finished(self) -> int:
        return self.done + self.skipped + self.failed + self.cancelled

    @property
    def unfinished(self) -> int:
        """Return how many jobs have no record. Jobs of other programs may have one, too."""
        return max(0, self.submitted - self.finished)

    def in_words(self) -> str:
        """Return '1 job done, 0 skipped, 2 failed', and ', 3 cancelled' if any were."""
        return f"{several(self.done, 'job')} done, {self.others()}"

    def others(self) -> str:
        """Return '0 skipped, 2 failed', and ', 3 cancelled' if any were."""
        cancelled = f", {self.cancelled:,} cancelled" if self.cancelled else ""
        return f"{self.skipped:,} skipped, {self.failed:,} failed{cancelled}"


def utc(now: float) -> str:
    """Return a time in seconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(now, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str) -> float:
    """Return the seconds since 1970 of a time as `utc` writes it."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").timestamp()


def new_run_id(now: float) -> str:
    """Return the RUN_ID of a run that is set up at `now`; they sort by time."""
    return datetime.fromtimestamp(now, timezone.utc).strftime(_RUN_ID)


def run_prefix(app_name: str, run_id: str) -> str:
    return f"runs/{app_name}/{run_id}/"
