"""The monitor's observations and memory, and the actions that it can decide on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from control.aws.ecs import ServiceState
from control.aws.fleet import FleetState
from control.aws.sqs import Counts
from control.model import JobCounts


@dataclass(frozen=True)
class Machine:
    """One EC2 instance of the fleets; `container_instance` is empty until it has registered.

    `tasks` are those that are to run; with `stopping` others still take memory until they end.
    """

    instance_id: str
    fleet_id: str
    launched: float
    vcpus: int
    container_instance: str = ""
    draining: bool = False
    tasks: int = 0
    busy_tasks: int = 0
    kind: str = ""  # type and availability zone, which its price depends on
    stopping: bool = False
    connected: bool = True  # whether ECS has a connection to its agent


@dataclass(frozen=True)
class Stopped:
    """A container that ended by itself: ECS's reason, the container instance, and its exit code.

    `exit_code` is None if it never ran.
    """

    why: str
    container_instance: str = ""
    exit_code: int | None = None


@dataclass(frozen=True)
class Observed:
    """A run at `now` (seconds since 1970), as AWS reports it; queue or service is None if gone.

    `machines` are those that run or start. `requested` is the number of machines of each fleet that
    the user has confirmed: the monitor never wants more.
    """

    now: float
    queue: Counts | None
    jobs: JobCounts
    fleets: tuple[FleetState, ...]
    machines: tuple[Machine, ...]
    service: ServiceState | None
    alarms: frozenset[str]
    stopped: tuple[Stopped, ...] = ()
    requested: Mapping[str, int] = field(default_factory=dict)
    stopped_at: str = ""  # when `stop` was typed, if no machines were requested since
    # (cause, reason) of workers that accept no jobs, if jobs wait and no worker has one.
    refusals: tuple[tuple[str, str], ...] = ()
    cheapest_since: float = 0.0  # when `monitor --cheapest` was typed; 0: it was not

    @property
    def at_work(self) -> bool:
        """Return whether any job runs, as far as SQS and ECS report."""
        in_flight = self.queue is not None and self.queue.in_flight > 0
        return in_flight or any(m.busy_tasks for m in self.machines)

    @property
    def accepts_no_jobs(self) -> bool:
        """Return whether jobs wait, containers run, and none has a job."""
        waiting = self.queue is not None and self.queue.visible > 0
        running = self.service is not None and self.service.running > 0
        return waiting and running and not self.at_work


@dataclass(frozen=True)
class Memory:
    """State that one step passes to the next, through run.json; times are seconds since 1970."""

    empty_since: float | None = None
    empty_readings: int = 0
    spare_since: float | None = None
    service_gone_since: float | None = None
    fleets_unknown_since: float | None = None
    # Readings in a row in which some machine had not registered, and machines ended for it.
    unregistered_readings: int = 0
    never_registered: int = 0
    # Since when, and when last, the same number of jobs waited while the same number of containers
    # ran and accepted none; and how many jobs were done when machines were last ended for it.
    refused_since: float | None = None
    refused_last: float = 0.0
    refused_readings: int = 0
    refused_waiting: int = 0
    refused_running: int = 0
    refused_done: int = 0
    # Whether any container of this run was seen to protect itself: only then do busy ones differ
    # from idle ones.
    protection_works: bool = False
    # With MAX_HOURLY_COST: dollars an hour by machine kind, when they were read, and since when
    # they have been above the limit.
    prices: Mapping[str, float] = field(default_factory=dict)
    priced: float = 0.0
    over_since: float | None = None


class Action:
    """One thing that the monitor can do."""


@dataclass(frozen=True)
class SetDesired(Action):
    """Have the service keep this number of containers running."""

    tasks: int


@dataclass(frozen=True)
class SetTarget(Action):
    """Have the fleet keep this number of machines; this ends none."""

    fleet_id: str
    machines: int


@dataclass(frozen=True)
class Remove(Action):
    """Drain these machines and end those that are still without work then."""

    machines: tuple[Machine, ...]


@dataclass(frozen=True)
class EndBroken(Action):
    """End machines that never joined the cluster; the fleet replaces them."""

    instance_ids: tuple[str, ...]


@dataclass(frozen=True)
class EndRefusing(Action):
    """End machines whose containers accept no jobs, unless one has accepted one since; the fleet
    replaces them."""

    machines: tuple[Machine, ...]
    why: str


@dataclass(frozen=True)
class EndCostly(Action):
    """End these machines, at work or not: all machines cost `hourly` dollars, above `limit`."""

    machines: tuple[Machine, ...]
    hourly: float
    limit: float


@dataclass(frozen=True)
class PutAlarm(Action):
    """Create the alarm of a machine."""

    machine: Machine


@dataclass(frozen=True)
class DeleteAlarms(Action):
    """Delete the alarms of machines that are gone."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class EndRun(Action):
    """Every job has its record: take everything down."""


@dataclass(frozen=True)
class EndMachines(Action):
    """Nothing more can happen, but jobs are unfinished: end what costs money, keep the queue."""

    why: str
