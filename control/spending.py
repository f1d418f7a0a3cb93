"""What the machines of a run have cost: their time, as the monitor sees it, times spot prices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

    from control.observed import Machine

_DAY = 24 * 3600


def grown(known: Mapping[str, Any], machines: Iterable[Machine], now: float) -> dict[str, Any]:
    """The machine time after this look: {"until": now, "seconds": {"m5.xlarge us-east-1a": 90}}.

    A machine counts from its launch; what it ran after the last look at it is left out, a minute at
    the most. Two monitors that look at the same machines count them once.
    """
    until = float(known.get("until", 0.0))
    seconds = defaultdict(float, known.get("seconds", {}))
    for machine in machines:
        seconds[machine.kind] += max(0.0, now - max(until, machine.launched))
    if not seconds:
        return dict(known)
    return {"until": max(until, now), "seconds": dict(seconds)}


def in_words(ec2: EC2Client, known: Mapping[str, Any], now: float) -> str:
    """The sentence about machine-hours and dollars."""
    seconds: Mapping[str, float] = known.get("seconds", {})
    hours = sum(seconds.values()) / 3600
    prices = _prices(ec2, {kind.split(" ")[0] for kind in seconds}, now) if seconds else {}
    if not seconds or not seconds.keys() <= prices.keys():
        return f"Machines: {hours:.1f} hours; what they cost is not known."
    dollars = sum(time / 3600 * prices[kind] for kind, time in seconds.items())
    return (
        f"Machines: {hours:.1f} hours, about ${dollars:.2f} at the spot prices of the last day; "
        "disks, requests and logs come on top."
    )


def _prices(ec2: EC2Client, types: Iterable[str], now: float) -> dict[str, float]:
    """The mean price of the last day in dollars an hour, by type and zone."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    names: Any = sorted(types)
    pages = ec2.get_paginator("describe_spot_price_history").paginate(
        InstanceTypes=names,
        ProductDescriptions=["Linux/UNIX"],
        StartTime=datetime.fromtimestamp(now - _DAY, timezone.utc),
    )
    for page in pages:
        for entry in page["SpotPriceHistory"]:
            kind = f"{entry['InstanceType']} {entry['AvailabilityZone']}"
            found[kind].append(float(entry["SpotPrice"]))
    return {kind: sum(some) / len(some) for kind, some in found.items()}
