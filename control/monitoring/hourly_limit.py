"""MAX_HOURLY_COST on machines that run: which of them end, pure, a part of the monitor's decision.

EC2's own limit (SpotMaxTotalPrice) only stops launches: when prices rise, what runs costs more.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from control.monitoring.observed import Machine, Memory, Observed, Pace
from control.monitoring.orders import Action, EndCostly, SetTarget
from control.services.fleet import LIVE_STATES

# Machines are added only up to this share of the limit: a price that moves a little to and fro
# would else interrupt the jobs of one machine again and again.
_ROOM = 0.95
# Sums of dollars are not exact.
_NOTHING = 1e-9


def enforce(
    seen: Observed,
    memory: Memory,
    settings: Mapping[str, Any],
    pace: Pace,
    broken: Sequence[Machine] = (),
) -> tuple[list[Action], Memory]:
    """What ends surplus machines once they were too dear on two looks; [] if they are not.

    The targets go down first, so that nothing is replaced. Machines without work end before those
    with work, and of those the youngest first, which have the least work to lose. `broken`
    machines are ended by the caller.
    """
    limit: float | None = settings.get("MAX_HOURLY_COST")
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
    seen: Observed, memory: Memory, settings: Mapping[str, Any], machines: Sequence[Machine]
) -> float:
    """How many machines there may be in all: as many as are wanted already, and what is left of
    MAX_HOURLY_COST pays at the highest price known; infinity without a limit or a price."""
    limit: float | None = settings.get("MAX_HOURLY_COST")
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
