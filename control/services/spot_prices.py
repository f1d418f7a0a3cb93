"""What spot machines cost at which time, from EC2's history of 90 days.

A *kind* is what a price depends on: machine type and availability zone, "m5.xlarge us-east-1a".
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

# (since when, dollars an hour), in order of time.
Changes = Sequence[tuple[float, float]]


def history(
    ec2: EC2Client, types: Iterable[str], start: float, end: float
) -> dict[str, list[tuple[float, float]]]:
    """The changes of price by kind between two times, the one in effect at the start included."""
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


def at(changes: Changes, when: float) -> float:
    """The price in effect at a time; before the first known change, that one's."""
    return changes[max(0, bisect_right(changes, (when, float("inf"))) - 1)][1]


def mean(changes: Changes, start: float, end: float) -> float:
    """The mean price over a time, each price by how long it was in effect."""
    if end <= start:
        return at(changes, start)
    borders = [start, *(since for since, _ in changes if start < since < end), end]
    spent = (
        at(changes, since) * (until - since)
        for since, until in zip(borders, borders[1:], strict=False)
    )
    return sum(spent) / (end - start)


def span(
    known: Mapping[str, Changes], start: float, end: float
) -> tuple[float, float, float] | None:
    """(lowest, mean, highest) price over a time and all kinds; None if none is known."""
    if not known:
        return None
    all_prices = [
        price
        for changes in known.values()
        for price in (at(changes, start), *(p for since, p in changes if start < since <= end))
    ]
    means = [mean(changes, start, end) for changes in known.values()]
    return min(all_prices), sum(means) / len(means), max(all_prices)
