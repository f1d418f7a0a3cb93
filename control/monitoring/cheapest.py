"""monitor --cheapest: no machine is replaced any more, and none that runs is ended for it.

Pure, a part of the monitor's decision. As in Distributed-Something, the fleets are asked for one
machine in all, fifteen minutes after it was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from control.monitoring.observed import Observed, Pace
from control.monitoring.orders import Action, SetTarget


def applies(seen: Observed, pace: Pace) -> bool:
    """Whether it was asked for, and the fleets have had their time to come up."""
    return seen.cheapest_since > 0 and seen.now - seen.cheapest_since >= pace.cheapest


def cap(seen: Observed, chosen: Sequence[Action]) -> list[Action]:
    """The actions with targets of one machine in all, lowered before anything else is done."""
    fleets = [f for f in seen.fleets if f.state == "active"]
    # The newest that keeps a machine: one that has been lowered to none buys no new one.
    keeper = next((f for f in reversed(fleets) if f.target), fleets[-1] if fleets else None)
    wanted = {f.fleet_id: f.target for f in fleets}
    wanted |= {a.fleet_id: a.machines for a in chosen if isinstance(a, SetTarget)}
    targets: list[Action] = []
    for fleet in fleets:
        most = 1 if fleet is keeper else 0
        target = min(most, wanted[fleet.fleet_id])
        if target != fleet.target:
            targets.append(SetTarget(fleet.fleet_id, target))
    return [*targets, *(a for a in chosen if not isinstance(a, SetTarget))]
