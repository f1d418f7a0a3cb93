"""How many machines and containers a run needs: pure."""

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
    Pace,
    Remove,
    SetDesired,
    SetTarget,
)


def tasks_needed(seen: Observed, config: Config) -> int:
    """Containers at work, and enough more for the jobs that wait or come back; at least one.

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
    """More at once, as far as the user has confirmed; fewer machines once they were too many for a
    while.

    `broken` machines are ended by the caller: they hold no place.
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
        or any(targets[f.fleet_id] < f.target for f in _changeable(seen))
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
    """Whether the counts cannot be right, or idle containers cannot be told from busy ones."""
    if seen.queue is None:
        return False
    counted, jobs = seen.queue.total, seen.jobs
    # SQS counts late what was just sent; before the first record no job can be missing from it.
    if jobs.finished == 0 and counted < jobs.submitted:
        return True
    if counted == 0 and jobs.finished < jobs.submitted:
        return True
    held = _busy(seen) * config.DOCKER_CORES
    return seen.queue.in_flight > held and not memory.protection_works


def _most_machines(seen: Observed) -> int:
    """As many as the user has confirmed for the fleets that live."""
    return sum(_asked(seen, f) for f in seen.fleets if f.state in LIVE_STATES)


def _asked(seen: Observed, fleet: FleetState) -> int:
    return max(seen.asked.get(fleet.fleet_id, 0), fleet.target)


def _changeable(seen: Observed) -> list[FleetState]:
    """ModifySpotFleetRequest is refused in any other state (API reference)."""
    return [f for f in seen.fleets if f.state == "active"]


def _spare(machines: list[Machine], needed: int, per_machine: int) -> list[Machine]:
    """Machines without a container that are not needed for a place."""
    places = sum(_places(m, per_machine) for m in machines)
    spare: list[Machine] = []
    # Of no use any more first, then what has not even registered, the youngest of those first.
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
    """Containers that it holds or can hold; onto a draining machine no more will come."""
    return machine.tasks if machine.draining else per_machine


def _targets(seen: Observed, kept: list[Machine], needed: int, per_machine: int) -> dict[str, int]:
    """How many machines each fleet should keep: those that stay, and what is missing to them.

    One that drains is not counted: it goes, and is replaced only if a place is missing.
    """
    staying = Counter(m.fleet_id for m in kept if not m.draining)
    places = sum(_places(m, per_machine) for m in kept)
    missing = max(0, math.ceil((needed - places) / per_machine))
    targets = {}
    for fleet in reversed(_changeable(seen)):
        more = min(missing, max(0, _asked(seen, fleet) - staying[fleet.fleet_id]))
        targets[fleet.fleet_id] = staying[fleet.fleet_id] + more
        missing -= more
    return targets


def _set_targets(seen: Observed, targets: dict[str, int], may_lower: bool) -> Iterator[SetTarget]:
    """The target goes down before machines do, so that they are not replaced."""
    for fleet in _changeable(seen):
        target = targets[fleet.fleet_id]
        if target > fleet.target or (may_lower and target < fleet.target):
            yield SetTarget(fleet.fleet_id, target)


def _sure(seen: Observed, memory: Memory, pace: Pace, too_many: bool) -> tuple[Memory, bool]:
    """Whether there was too much for a while, on more than one reading."""
    if not too_many:
        return replace(memory, spare_since=None), False
    if memory.spare_since is None or memory.spare_since > seen.now:
        return replace(memory, spare_since=seen.now), False
    return memory, seen.now - memory.spare_since >= pace.spare


# Machines are added only up to this share of the limit: a price that moves a little to and fro
# would else interrupt the jobs of one machine again and again.
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
    """What ends surplus machines once they were too dear on two looks; [] if they are not.

    The targets go down first, so that nothing is replaced. Machines without work end before those
    with work, and of those the youngest first, which have the least work to lose. `broken`
    machines are ended by the caller.
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
        for fleet in seen.fleets
        if fleet.state == "active" and left[fleet.fleet_id] < fleet.target
    ]
    return [*actions, EndCostly(surplus, cost, limit)], memory


def affordable(
    seen: Observed, memory: Memory, config: Config, machines: Sequence[Machine]
) -> float:
    """How many machines there may be in all: as many as are wanted already, and what is left of
    MAX_HOURLY_COST pays at the highest price known; infinity without a limit or a price."""
    limit: float | None = config.MAX_HOURLY_COST
    if limit is None or not memory.prices:
        return math.inf
    wanted = sum(f.target for f in seen.fleets if f.state in LIVE_STATES)
    coming = max(0, wanted - len(machines))
    room = _ROOM * limit - _cost(machines, memory.prices)
    more = math.floor(room / max(memory.prices.values())) - coming
    return max(wanted, len(machines)) + max(0, more)


def _cost(machines: Iterable[Machine], prices: Mapping[str, float]) -> float:
    """Dollars an hour. One of no known price is taken for the dearest; without any, nothing."""
    dearest = max(prices.values(), default=0.0)
    return sum(prices.get(machine.kind, dearest) for machine in machines)


def _surplus(
    seen: Observed, staying: Sequence[Machine], prices: Mapping[str, float], over: float
) -> tuple[Machine, ...]:
    """The machines whose end saves `over` dollars an hour, of fleets that will not replace them."""
    # A fleet that cannot be changed now (API reference of ModifySpotFleetRequest) would.
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
