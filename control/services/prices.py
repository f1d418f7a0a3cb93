"""Spot prices: what a machine costs an hour now, and what a run can cost at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from control.services import spot_prices
from control.words import several

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

    from control.services.machines import Plan

_DAY = 24 * 3600
# Spot prices have no upper limit but the on-demand price, which EC2 itself does not tell; the
# highest of so many days is what they can be expected to reach.
_DAYS = 30


@dataclass(frozen=True)
class Prices:
    """Dollars per machine and hour: lowest and highest of the last day, and of 30 days."""

    low: float
    high: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class Estimate:
    """Dollars: per hour for all machines (from, to), and at most for the whole run.

    `bound` says what `at_most` rests on.
    """

    hourly_low: float
    hourly_high: float
    at_most: float
    bound: str


def recent(ec2: EC2Client, plan: Plan, now: float) -> Prices | None:
    """The spot prices over the plan's types and zones; None if EC2 tells none."""
    zones = {subnet.zone for subnet in plan.subnets}
    types = [kind.name for kind in plan.types]
    month = now - _DAYS * _DAY
    known = {
        kind: changes
        for kind, changes in spot_prices.history(ec2, types, month, now).items()
        if kind.split(" ")[1] in zones
    }
    day, all_days = (spot_prices.span(known, start, now) for start in (now - _DAY, month))
    return Prices(day[0], day[2], all_days[0], all_days[2]) if day and all_days else None


def estimate(
    prices: Prices,
    machines: int,
    hours: float,
    price_limit: float | None,
    hourly_limit: float | None,
) -> Estimate:
    """What `machines` cost for `hours`, under MACHINE_PRICE and MAX_HOURLY_COST where set.

    Storage of the disks, requests and data transfer come on top; see documentation/costs.md.
    """
    limit = price_limit if price_limit is not None else float("inf")
    total = hourly_limit if hourly_limit is not None else float("inf")
    low = min(machines * min(prices.low, limit), total)
    high = min(machines * min(prices.high, limit), total)
    worst = machines * (prices.highest if price_limit is None else limit)
    bound = f"the highest price of {_DAYS} days" if price_limit is None else "MACHINE_PRICE"
    if total < worst:
        worst, bound = total, "MAX_HOURLY_COST"
    return Estimate(low, high, worst * hours, bound)


def in_words(estimate: Estimate, names: Sequence[str], machines: int, hours: float) -> str:
    """The sentence that startCluster shows before it asks."""
    low, high = f"${estimate.hourly_low:.2f}", f"${estimate.hourly_high:.2f}"
    hourly = low if low == high else f"{low} to {high}"
    return (
        f"{several(machines, 'machine')} ({' or '.join(names)}): {hourly} an hour; "
        f"at most ${estimate.at_most:.2f} in {hours:g} hours (MAX_RUN_HOURS) at {estimate.bound}, "
        "less when the jobs are done earlier."
    )
