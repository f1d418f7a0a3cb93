"""The facts that the monitor decides on, and the actions it can decide on."""

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

    `tasks` are those that shall run; `stopping` says that others are still on their way out.
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
    connected: bool = True  # whether ECS hears its agent


@dataclass(frozen=True)
class Stopped:
    """Why a container ended by itself, and on which container instance."""

    why: str
    container_instance: str = ""


@dataclass(frozen=True)
class Observed:
    """What AWS said at `now` (seconds since 1970); queue or service is None if it is gone.

    `machines` are those that are up or coming up. `asked` is how many machines of each fleet the
    user has confirmed: the monitor never wants more.
    """

    now: float
    queue: Counts | None
    jobs: JobCounts
    fleets: tuple[FleetState, ...]
    machines: tuple[Machine, ...]
    service: ServiceState | None
    alarms: frozenset[str]
    stopped: tuple[Stopped, ...] = ()
    asked: Mapping[str, int] = field(default_factory=dict)
    stopped_at: str = ""  # when `stop` was typed, if no machines were asked for since
    refusals: tuple[str, ...] = ()  # why workers take no job, if jobs wait and none has one
    cheapest_since: float = 0.0  # when `monitor --cheapest` was typed; 0: it was not

    @property
    def at_work(self) -> bool:
        """Whether any job is being done, as far as SQS and ECS tell."""
        in_flight = self.queue is not None and self.queue.in_flight > 0
        return in_flight or any(m.busy_tasks for m in self.machines)

    @property
    def takes_no_job(self) -> bool:
        """Whether jobs wait, containers run, and none has a job."""
        waiting = self.queue is not None and self.queue.visible > 0
        running = self.service is not None and self.service.running > 0
        return waiting and running and not self.at_work


@dataclass(frozen=True)
class Memory:
    """What one step hands to the next, through run.json; times are seconds since 1970."""

    empty_since: float | None = None
    empty_readings: int = 0
    spare_since: float | None = None
    service_gone_since: float | None = None
    fleets_unknown_since: float | None = None
    # Readings in a row in which some machine had not registered, and machines ended for it.
    unregistered_readings: int = 0
    never_registered: int = 0
    # Since when, and when last, so many jobs waited while so many containers ran and took none;
    # and how many jobs were done when machines were last ended for it.
    refused_since: float | None = None
    refused_last: float = 0.0
    refused_readings: int = 0
    refused_waiting: int = 0
    refused_running: int = 0
    refused_done: int = 0
    # Whether any container of this run was seen to protect itself: then those without work can be
    # told from those with work.
    protection_works: bool = False
    # Where MAX_HOURLY_COST is set: dollars an hour by machine kind, when EC2 was asked, and since
    # when they have been too much.
    prices: Mapping[str, float] = field(default_factory=dict)
    priced: float = 0.0
    over_since: float | None = None


@dataclass(frozen=True)
class Pace:
    """How long something must have been so before it is believed, in seconds."""

    poll: float = 60
    # SQS's counts may lag by a minute and more (aws-facts: GetQueueAttributes).
    settle: float = 180
    spare: float = 60
    register: float = 600
    # Records are counted by listings of 1,000; at most one of those in so many seconds.
    listing: float = 3
    # A clock may jump, so a wait must have been seen in so many readings too.
    settle_readings: int = 3
    register_readings: int = 5
    # So long containers may run beside waiting jobs and take none, if they say why.
    refuse: float = 300
    # After this many machines that never registered, more of them would not either.
    give_up_machines: int = 3
    # After this many containers that ended by themselves before any job was done, likewise.
    give_up_containers: int = 5
    # So long an AWS that does not answer is waited for: a laptop may be without network for hours.
    patience: float = 24 * 3600
    # Spot prices move over hours (EC2 guide, spot pricing).
    prices: float = 900
    # `monitor --cheapest` gives the fleet so long to come up.
    cheapest: float = 900


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
