"""Spot prices: what a machine costs an hour now, and what a run can cost at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from control.words import several

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

    from control.machines import Plan

_DAY = 24 * 3600


@dataclass(frozen=True)
class Prices:
    """The lowest and highest spot price of the last day, in dollars per machine and hour."""

    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """Dollars: per hour for all machines (from, to), and at most for the whole run."""

    hourly_low: float
    hourly_high: float
    at_most: float


def last_day(ec2: EC2Client, plan: Plan, now: float) -> Prices | None:
    """The span of spot prices over the plan's types and zones; None if EC2 tells none."""
    zones = {subnet.zone for subnet in plan.subnets}
    names: Any = [kind.name for kind in plan.types]
    pages = ec2.get_paginator("describe_spot_price_history").paginate(
        InstanceTypes=names,
        ProductDescriptions=["Linux/UNIX"],
        StartTime=datetime.fromtimestamp(now - _DAY, timezone.utc),
    )
    found = [
        float(entry["SpotPrice"])
        for page in pages
        for entry in page["SpotPriceHistory"]
        if entry["AvailabilityZone"] in zones
    ]
    return Prices(min(found), max(found)) if found else None


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
    # A price limit is what is paid at the worst; without one, today's highest is taken.
    worst = min(machines * (limit if price_limit is not None else prices.high), total)
    return Estimate(low, high, worst * hours)


def in_words(estimate: Estimate, names: Sequence[str], machines: int, hours: float) -> str:
    """The sentence that startCluster shows before it asks."""
    low, high = f"${estimate.hourly_low:.2f}", f"${estimate.hourly_high:.2f}"
    hourly = low if low == high else f"{low} to {high}"
    return (
        f"{several(machines, 'machine')} ({' or '.join(names)}): {hourly} an hour; "
        f"at most ${estimate.at_most:.2f} in {hours:g} hours (MAX_RUN_HOURS), "
        "less when the jobs are done earlier."
    )
