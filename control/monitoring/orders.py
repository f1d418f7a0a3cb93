"""What the monitor may decide to do."""

from __future__ import annotations

from dataclasses import dataclass

from control.monitoring.observed import Machine


@dataclass(frozen=True)
class SetDesired:
    """The service keeps so many containers up."""

    tasks: int


@dataclass(frozen=True)
class SetTarget:
    """The fleet keeps so many machines; none is ended by this."""

    fleet_id: str
    machines: int


@dataclass(frozen=True)
class Remove:
    """Drain and end these machines, if they are still without work when it is done."""

    machines: tuple[Machine, ...]


@dataclass(frozen=True)
class EndBroken:
    """End machines that never joined the cluster; the fleet replaces them."""

    instance_ids: tuple[str, ...]


@dataclass(frozen=True)
class EndRefusing:
    """End machines whose containers take no job, unless one has taken one since; the fleet
    replaces them."""

    machines: tuple[Machine, ...]
    why: str


@dataclass(frozen=True)
class EndCostly:
    """End these machines, at work or not: all together cost `hourly` dollars, above `limit`."""

    machines: tuple[Machine, ...]
    hourly: float
    limit: float


@dataclass(frozen=True)
class PutAlarm:
    machine: Machine


@dataclass(frozen=True)
class DeleteAlarms:
    names: tuple[str, ...]


@dataclass(frozen=True)
class EndRun:
    """Every job has its record: take everything down."""


@dataclass(frozen=True)
class EndMachines:
    """Nothing more can happen, but jobs are unfinished: end what costs money, keep the queue."""

    why: str


Action = (
    SetDesired
    | SetTarget
    | Remove
    | EndBroken
    | EndRefusing
    | EndCostly
    | PutAlarm
    | DeleteAlarms
    | EndRun
    | EndMachines
)
