"""Scaling of a run's machines and containers: pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from control.aws.fleet import LIVE_STATES, FleetState
from control.config import Config
from control.monitoring.facts import (
    Action,
    EndCostly,
    Machine,
    Memory,
    Observed,
    Remove,
    SetDesired,
    SetTarget,
)
from control.monitoring.timings import Pace


def tasks_needed(seen: Observed, config: Config) -> int:
    """Count containers at work, and enough more for the jobs that wait or return; at least one.

    A job in flight that no protected container holds waits for its next attempt, or was finished
    since SQS counted.
    """
    if seen.queue is None:
        return 1
    jobs_at_once: int = config.DOCKER_CORES
    busy = _busy(seen)
    held_by_none = max(0, seen.queue.in_flight - busy * jobs_at_once)
    waiting = seen.queue.visible + seen.queue.delayed + held_by_none
    return max(1, busy + math.ceil(waiting / jobs_at_once))


def scale(
    seen: Observed,
    memory: Memory,
    config: Config,
    pace: Pace,
    broken: tuple[Machine, ...] = (),
) -> tuple[list[Action], Memory]:
    """Scale out at once, as far as the user has confirmed, and in after a while.

    The caller ends `broken` machines: they hold no place.
    """
    memory = replace(memory, protection_works=memory.protection_works or _busy(seen) > 0)
    machines = [m for m in seen.machines if m not in broken]
    most = int(min(_most_machines(seen), affordable(seen, memory, config, machines)))
    if seen.service is None or not most or _distrusts(seen, memory, config):
        return [], replace(memory, spare_since=None)
    per_machine: int = config.TASKS_PER_MACHINE
    needed = min(tasks_needed(seen, config), most * per_machine)
    spare = _spare(machines, needed, per_machine)
    targets = _targets(seen, _without(machines, spare), needed, per_machine)
    too_many = (
        seen.service.desired > needed
        or not all(m.draining for m in spare)
        or any(targets[f.fleet_id] < f.target for f in changeable(seen))
    )
    memory, sure = _sure(seen, memory, pace, too_many)
    leaving = [
        m for m in spare if (sure or m.draining) and not m.stopping and m.fleet_id in targets
    ]
    targets = _targets(seen, _without(machines, leaving), needed, per_machine)
    actions: list[Action] = []
    # Containers without work cost nothing and come back soon; only machines wait for a second look.
    if needed != seen.service.desired:
        actions.append(SetDesired(needed))
    actions += _set_targets(seen, targets, sure or bool(leaving))
    if leaving:
        actions.append(Remove(tuple(leaving)))
    return actions, memory


def _without(machines: list[Machine], leaving: list[Machine]) -> list[Machine]:
    gone = {m.instance_id for m in leaving}
    return [m for m in machines if m.instance_id not in gone]


def _busy(seen: Observed) -> int:
    return sum(m.busy_tasks for m in seen.machines)


def _distrusts(seen: Observed, memory: Memory, config: Config) -> bool:
    """Tell whether the counts cannot be right, or idle containers look like busy ones."""
    if seen.queue is None:
        return False
    counted, jobs = seen.queue.total, seen.jobs
    # SQS counts new messages late; before the first record no job can be missing from it.
    if jobs.finished == 0 and counted < jobs.submitted:
        return True
    if counted == 0 and jobs.unfinished:
        return True
    held = _busy(seen) * config.DOCKER_CORES
    return seen.queue.in_flight > held and not memory.protection_works


def _most_machines(seen: Observed) -> int:
    """Return how many the user has confirmed for the live fleets."""
    return sum(_requested(seen, f) for f in seen.fleets if f.state in LIVE_STATES)


def _requested(seen: Observed, fleet: FleetState) -> int:
    return max(seen.requested.get(fleet.fleet_id, 0), fleet.target)


def changeable(seen: Observed) -> list[FleetState]:
    """Return those that ModifySpotFleetRequest accepts (API reference)."""
    return [f for f in seen.fleets if f.state == "active"]


def _spare(machines: list[Machine], needed: int, per_machine: int) -> list[Machine]:
    """Return machines without a container that are not needed for a place."""
    places = sum(_places(m, per_machine) for m in machines)
    spare: list[Machine] = []
    # Draining ones first, then those that have not even registered, the youngest first.
    order = sorted(
        (m for m in machines if not m.tasks),
        key=lambda m: (not m.draining, bool(m.container_instance), -m.launched, m.instance_id),
    )
    for machine in order:
        left = places - _places(machine, per_machine)
        if left >= needed or machine.draining:
            spare.append(machine)
            places = left
    return spare


def _places(machine: Machine, per_machine: int) -> int:
    """Count containers that it holds or can hold; a draining machine gets no more."""
    return machine.tasks if machine.draining else per_machine


def _targets(seen: Observed, kept: list[Machine], needed: int, per_machine: int) -> dict[str, int]:
    """Return how many machines each fleet should keep: those that stay, and those missing.

    A draining one is not counted: it ends, and is replaced only if a place is missing.
    """
    staying = Counter(m.fleet_id for m in kept if not m.draining)
    places = sum(_places(m, per_machine) for m in kept)
    missing = max(0, math.ceil((needed - places) / per_machine))
    targets = {}
    for fleet in reversed(changeable(seen)):
        more = min(missing, max(0, _requested(seen, fleet) - staying[fleet.fleet_id]))
        targets[fleet.fleet_id] = staying[fleet.fleet_id] + more
        missing -= more
    return targets


def _set_targets(seen: Observed, targets: dict[str, int], may_lower: bool) -> Iterator[SetTarget]:
    """Set targets; a lower one comes before its machines end, so that they are not replaced."""
    for fleet in changeable(seen):
        target = targets[fleet.fleet_id]
        if target > fleet.target or (may_lower and target < fleet.target):
            yield SetTarget(fleet.fleet_id, target)


def _sure(seen: Observed, memory: Memory, pace: Pace, too_many: bool) -> tuple[Memory, bool]:
    """Tell whether there was too much for a while, on more than one reading."""
    if not too_many:
        return replace(memory, spare_since=None), False
    if memory.spare_since is None or memory.spare_since > seen.now:
        return replace(memory, spare_since=seen.now), False
    return memory, seen.now - memory.spare_since >= pace.spare


# Machines are added only up to this share of the limit: otherwise a price that moves a little
# would interrupt the jobs of one machine again and again.
_ROOM = 0.95
# Sums of dollars are not exact.
_NOTHING = 1e-9


def enforce(
    seen: Observed,
    memory: Memory,
    config: Config,
    pace: Pace,
    broken: Sequence[Machine] = (),
) -> tuple[list[Action], Memory]:
    """End surplus machines once two readings were above MAX_HOURLY_COST; [] if they are not.

    The targets go down first, so that nothing is replaced. Machines without work end before those
    with work, and of those the youngest first, which have the least work to lose. The caller ends
    `broken` machines.
    """
    limit: float | None = config.MAX_HOURLY_COST
    staying = [m for m in seen.machines if m not in broken and not m.draining]
    cost = _cost(staying, memory.prices)
    if limit is None or cost - limit <= _NOTHING:
        return [], replace(memory, over_since=None)
    if memory.over_since is None or memory.over_since > seen.now:
        return [], replace(memory, over_since=seen.now)
    surplus = _surplus(seen, staying, memory.prices, cost - limit)
    if not surplus or seen.now - memory.over_since < pace.spare:
        return [], memory
    left = Counter(m.fleet_id for m in staying if m not in surplus)
    actions: list[Action] = [
        SetTarget(fleet.fleet_id, left[fleet.fleet_id])
        for fleet in changeable(seen)
        if left[fleet.fleet_id] < fleet.target
    ]
    return [*actions, EndCostly(surplus, cost, limit)], memory


def affordable(
    seen: Observed, memory: Memory, config: Config, machines: Sequence[Machine]
) -> float:
    """Return how many machines there may be: those requested already, and those that the rest of
    MAX_HOURLY_COST pays for at the highest known price; infinity without a limit or a price."""
    limit: float | None = config.MAX_HOURLY_COST
    if limit is None or not memory.prices:
        return math.inf
    wanted = sum(f.target for f in seen.fleets if f.state in LIVE_STATES)
    staying = [m for m in machines if not m.draining]
    coming = max(0, wanted - len(staying))
    room = _ROOM * limit - _cost(staying, memory.prices)
    more = math.floor(room / max(memory.prices.values())) - coming
    return max(wanted, len(staying)) + max(0, more)


def _cost(machines: Iterable[Machine], prices: Mapping[str, float]) -> float:
    """Return dollars an hour; one without a known price counts as the most expensive one."""
    highest = max(prices.values(), default=0.0)
    return sum(prices.get(machine.kind, highest) for machine in machines)


def _surplus(
    seen: Observed, staying: Sequence[Machine], prices: Mapping[str, float], over: float
) -> tuple[Machine, ...]:
    """Choose machines whose end saves `over` dollars an hour, and which no fleet replaces."""
    # A fleet that cannot be changed now (API reference of ModifySpotFleetRequest) does.
    replacing = {f.fleet_id for f in seen.fleets if f.state in LIVE_STATES and f.state != "active"}
    order = sorted(
        (m for m in staying if m.fleet_id not in replacing),
        key=lambda m: (m.busy_tasks, m.tasks, m.container_instance != "", -m.launched),
    )
    chosen: list[Machine] = []
    for machine in order:
        if over <= _NOTHING:
            break
        chosen.append(machine)
        over -= _cost([machine], prices)
    return tuple(chosen)
