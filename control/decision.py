"""What the monitor does next: one pure function from what was observed to actions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from control.cluster import ServiceState
from control.fleet import LIVE_STATES, FleetState
from control.queues import Counts
from control.records import JobCounts


@dataclass(frozen=True)
class Machine:
    """One EC2 instance of the fleets; `container_instance` is empty until it has registered."""

    instance_id: str
    fleet_id: str
    launched: float
    vcpus: int
    container_instance: str = ""
    draining: bool = False
    tasks: int = 0
    busy_tasks: int = 0
    kind: str = ""  # type and availability zone, which its price depends on


@dataclass(frozen=True)
class Observed:
    """What AWS said at `now` (seconds since 1970); queue or service is None if it is gone."""

    now: float
    queue: Counts | None
    jobs: JobCounts
    fleets: tuple[FleetState, ...]
    machines: tuple[Machine, ...]
    service: ServiceState | None
    alarms: frozenset[str]
    stopped: tuple[str, ...] = ()  # why containers ended by themselves, lately


@dataclass(frozen=True)
class Memory:
    """What one step hands to the next, through run.json; times are seconds since 1970."""

    empty_since: float | None = None
    spare_since: float | None = None
    never_registered: int = 0


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
    # After this many machines that never registered, more of them would not either.
    give_up_machines: int = 3
    # After this many containers that ended by themselves before any job was done, likewise.
    give_up_containers: int = 5


@dataclass(frozen=True)
class SetDesired:
    tasks: int


@dataclass(frozen=True)
class SetTarget:
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
    SetDesired | SetTarget | Remove | EndBroken | PutAlarm | DeleteAlarms | EndRun | EndMachines
)


def decide(
    seen: Observed, memory: Memory, settings: Mapping[str, Any], pace: Pace
) -> tuple[list[Action], Memory]:
    """The next actions, and what the next step must remember."""
    memory = _remember_empty(seen, memory)
    end = _end(seen, memory, pace) or _never_works(seen, pace)
    if end is not None:
        return [end], memory
    actions: list[Action] = []
    broken = [m for m in seen.machines if _is_broken(m, seen.now, pace)]
    if broken:
        memory = replace(memory, never_registered=memory.never_registered + len(broken))
        if memory.never_registered >= pace.give_up_machines:
            return [EndMachines(_why_broken(memory.never_registered, pace))], memory
        actions.append(EndBroken(tuple(m.instance_id for m in broken)))
    elif any(m.container_instance for m in seen.machines):
        memory = replace(memory, never_registered=0)
    scaling, memory = _scale_in(seen, memory, settings, pace)
    return [*actions, *scaling, *_alarms(seen)], memory


def _remember_empty(seen: Observed, memory: Memory) -> Memory:
    empty = seen.queue is None or seen.queue.total == 0
    if not empty:
        return replace(memory, empty_since=None)
    return memory if memory.empty_since is not None else replace(memory, empty_since=seen.now)


def _end(seen: Observed, memory: Memory, pace: Pace) -> Action | None:
    unfinished = seen.jobs.submitted - seen.jobs.finished
    # A clock that was set back must not keep an empty queue waiting for ever.
    waited = abs(seen.now - memory.empty_since) if memory.empty_since is not None else 0.0
    if waited >= pace.settle:
        if unfinished <= 0:
            return EndRun()
        return EndMachines(f"the queue is empty, but {unfinished:,} submitted jobs have no record")
    if _fleet_is_gone(seen) and unfinished > 0 and memory.empty_since is None:
        return EndMachines(
            "AWS has ended the fleet (MAX_RUN_HOURS reached, or somebody cancelled it), and "
            f"{unfinished:,} jobs are unfinished"
        )
    return None


def _never_works(seen: Observed, pace: Pace) -> Action | None:
    """Containers that only start and end do no work, and their machines cost money."""
    at_work = seen.queue is not None and seen.queue.in_flight > 0
    if seen.jobs.finished or at_work or any(m.busy_tasks for m in seen.machines):
        return None
    if len(seen.stopped) < pace.give_up_containers:
        return None
    reason, times = Counter(seen.stopped).most_common(1)[0]
    return EndMachines(f"containers end right after their start ({times} times: {reason})")


def _fleet_is_gone(seen: Observed) -> bool:
    living = any(fleet.state in LIVE_STATES for fleet in seen.fleets)
    return bool(seen.fleets) and not living and not seen.machines


def _is_broken(machine: Machine, now: float, pace: Pace) -> bool:
    return not machine.container_instance and now - machine.launched > pace.register


def _why_broken(count: int, pace: Pace) -> str:
    return (
        f"{count} machines in a row did not join the cluster within {pace.register / 60:g} "
        "minutes: they have no way to the internet, or their role does not allow it"
    )


def tasks_needed(seen: Observed, settings: Mapping[str, Any]) -> int:
    """Containers at work, and enough more for the jobs that wait or come back; at least one."""
    if seen.queue is None:
        return 1
    busy = sum(m.busy_tasks for m in seen.machines)
    waiting = seen.queue.visible + seen.queue.delayed
    jobs_at_once: int = settings["DOCKER_CORES"]
    return max(1, busy + math.ceil(waiting / jobs_at_once))


def _scale_in(
    seen: Observed, memory: Memory, settings: Mapping[str, Any], pace: Pace
) -> tuple[list[Action], Memory]:
    """Fewer containers and machines once they have been too many for a while."""
    if seen.service is None:
        return [], memory
    if _unprotected_work(seen, settings):
        return [], replace(memory, spare_since=None)
    needed = tasks_needed(seen, settings)
    spare = _spare_machines(seen)
    if seen.service.desired <= needed and not spare:
        return [], replace(memory, spare_since=None)
    if memory.spare_since is None:
        return [], replace(memory, spare_since=seen.now)
    if abs(seen.now - memory.spare_since) < pace.spare:
        return [], memory
    actions: list[Action] = []
    if seen.service.desired > needed:
        actions.append(SetDesired(needed))
    if spare:
        actions += _lower_targets(seen, spare)
        actions.append(Remove(tuple(spare)))
    return actions, memory


def _unprotected_work(seen: Observed, settings: Mapping[str, Any]) -> bool:
    """More jobs in flight than protected containers hold: a smaller service could end work.

    Jobs that failed and wait for their next attempt are in flight too; they will want workers.
    """
    busy = sum(m.busy_tasks for m in seen.machines)
    return seen.queue is not None and seen.queue.in_flight > busy * settings["DOCKER_CORES"]


def _spare_machines(seen: Observed) -> list[Machine]:
    """Registered machines without a container, while the service has as many as it wants."""
    if seen.service is None or seen.service.running < seen.service.desired:
        return []
    return [m for m in seen.machines if m.container_instance and not m.tasks]


def _lower_targets(seen: Observed, spare: list[Machine]) -> Iterator[SetTarget]:
    """The target goes down first, so that a machine that is ended is not replaced."""
    for state in seen.fleets:
        gone = sum(m.fleet_id == state.fleet_id for m in spare)
        if gone and state.state in LIVE_STATES:
            yield SetTarget(state.fleet_id, max(0, state.target - gone))


def _alarms(seen: Observed) -> Iterator[Action]:
    with_alarm = {name.rsplit("_", 1)[-1] for name in seen.alarms}
    up = {m.instance_id for m in seen.machines}
    yield from (PutAlarm(m) for m in seen.machines if m.instance_id not in with_alarm)
    stale = tuple(sorted(n for n in seen.alarms if n.rsplit("_", 1)[-1] not in up))
    if stale:
        yield DeleteAlarms(stale)
