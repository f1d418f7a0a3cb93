"""EC2: spot prices, now and over the last days."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from control.text import several

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

    from control.aws.launch_template import Plan

# (since when, dollars an hour), in order of time.
Changes = Sequence[tuple[float, float]]


def price_history(
    ec2: EC2Client, types: Iterable[str], start: float, end: float
) -> dict[str, list[tuple[float, float]]]:
    """Return the changes of price by kind between two times, with the price at the start."""
    names: Any = sorted(set(types))
    if not names:
        return {}
    pages = ec2.get_paginator("describe_spot_price_history").paginate(
        InstanceTypes=names,
        ProductDescriptions=["Linux/UNIX"],
        StartTime=datetime.fromtimestamp(start, timezone.utc),
        EndTime=datetime.fromtimestamp(end, timezone.utc),
    )
    found: dict[str, list[tuple[float, float]]] = {}
    for page in pages:
        for entry in page["SpotPriceHistory"]:
            kind = f"{entry['InstanceType']} {entry['AvailabilityZone']}"
            change = entry["Timestamp"].timestamp(), float(entry["SpotPrice"])
            found.setdefault(kind, []).append(change)
    return {kind: sorted(changes) for kind, changes in found.items()}


def price_at(changes: Changes, when: float) -> float:
    """Return the price at a time; before the first known change, the first price."""
    return changes[max(0, bisect_right(changes, (when, float("inf"))) - 1)][1]


def mean_price(changes: Changes, start: float, end: float) -> float:
    """Return the mean price over a time, weighted by how long each price was in effect."""
    if end <= start:
        return price_at(changes, start)
    borders = [start, *(since for since, _ in changes if start < since < end), end]
    spent = (
        price_at(changes, since) * (until - since)
        for since, until in zip(borders, borders[1:], strict=False)
    )
    return sum(spent) / (end - start)


def price_span(
    known: Mapping[str, Changes], start: float, end: float
) -> tuple[float, float, float] | None:
    """Return (lowest, mean, highest) price over a time and all kinds; None if none is known."""
    if not known:
        return None
    all_prices = [
        price
        for changes in known.values()
        for price in (
            price_at(changes, start),
            *(p for since, p in changes if start < since <= end),
        )
    ]
    means = [mean_price(changes, start, end) for changes in known.values()]
    return min(all_prices), sum(means) / len(means), max(all_prices)


_DAY = 24 * 3600
# The upper limit of spot prices is the on-demand price, which EC2 itself does not list; expect at
# most the highest price of this many days.
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

    `bound` names the price or setting that `at_most` follows from.
    """

    hourly_low: float
    hourly_high: float
    at_most: float
    bound: str


def recent_prices(ec2: EC2Client, plan: Plan, now: float) -> Prices | None:
    """Return the spot prices over the plan's types and zones; None if EC2 lists none."""
    zones = {subnet.zone for subnet in plan.subnets}
    types = [kind.name for kind in plan.types]
    month = now - _DAYS * _DAY
    known = {
        kind: changes
        for kind, changes in price_history(ec2, types, month, now).items()
        if kind.split(" ")[1] in zones
    }
    day, all_days = (price_span(known, start, now) for start in (now - _DAY, month))
    return Prices(day[0], day[2], all_days[0], all_days[2]) if day and all_days else None


def estimate_price(
    prices: Prices,
    machines: int,
    hours: float,
    price_limit: float | None,
    hourly_limit: float | None,
) -> Estimate:
    """Return what `machines` cost for `hours`, with MACHINE_PRICE and MAX_HOURLY_COST if set.

    Disks, requests and data transfer are extra; see documentation/costs.md.
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


def price_in_words(estimate: Estimate, names: Sequence[str], machines: int, hours: float) -> str:
    """Return the sentence that startCluster shows before it asks."""
    low, high = f"${estimate.hourly_low:.2f}", f"${estimate.hourly_high:.2f}"
    hourly = low if low == high else f"{low} to {high}"
    return (
        f"{several(machines, 'machine')} ({' or '.join(names)}): {hourly} an hour; "
        f"at most ${estimate.at_most:.2f} in {hours:g} hours (MAX_RUN_HOURS) at {estimate.bound}, "
        "less when the jobs are done earlier."
    )
