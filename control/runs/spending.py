"""What the machines of a run cost: before it, so far, and in the end.

Machine time as the monitor sees it, times the spot price at that time. What comes on top of
machines is in extras.py: it can only be estimated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from control import units
from control.runs import machine_time
from control.services import spot_prices

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

    from control.services.spot_prices import Changes


@dataclass(frozen=True)
class OfKind:
    """What the machines of one type and zone cost; `dollars` is None if no price is known."""

    kind: str
    hours: float
    dollars: float | None


@dataclass(frozen=True)
class Cost:
    """What the machines of a run have cost: dollars for those whose price is known."""

    hours: float
    dollars: float
    kinds: tuple[OfKind, ...]

    @property
    def unpriced_hours(self) -> float:
        """Machine-hours of which no price is known: the dollars are of the others."""
        return sum(one.hours for one in self.kinds if one.dollars is None)


def cost(known: Mapping[str, Any], prices: Mapping[str, Changes]) -> Cost:
    """What a machine time cost: each bin of its series at the price of that time."""
    kinds = tuple(
        OfKind(kind, seconds / 3600, _dollars(known, kind, prices.get(kind, ())))
        for kind, seconds in sorted(known.get("seconds", {}).items())
    )
    dollars = sum(one.dollars for one in kinds if one.dollars is not None)
    return Cost(machine_time.hours(known), dollars, kinds)


def _dollars(known: Mapping[str, Any], kind: str, changes: Changes) -> float | None:
    if not changes:
        return None
    hours: float = known["seconds"][kind] / 3600
    bins: list[float] = known.get("bins", {}).get(kind, [])
    if not sum(bins):
        # An earlier version of the monitor noted no series.
        return hours * spot_prices.at(changes, known["until"])
    begin, step = known["begin"], known["step"]
    # The bins are rounded and only tell how the hours spread over time.
    weighed = sum(
        seconds * spot_prices.mean(changes, begin + i * step, begin + (i + 1) * step)
        for i, seconds in enumerate(bins)
    )
    return hours * weighed / sum(bins)


def so_far(ec2: EC2Client, known: Mapping[str, Any], now: float) -> Cost:
    """What the machines of a run have cost until now, at the spot prices of each time."""
    start = known.get("begin", known.get("until", now))
    types = {kind.split(" ")[0] for kind in known.get("seconds", {})}
    end = min(now, known.get("until", now))
    return cost(known, spot_prices.history(ec2, types, start, end))


def hourly(ec2: EC2Client, kinds: Iterable[str], now: float) -> float | None:
    """What these machines, a kind each, cost an hour now; None if a price is not known."""
    up = list(kinds)
    prices = spot_prices.history(ec2, {kind.split(" ")[0] for kind in up}, now, now)
    if not all(kind in prices for kind in up):
        return None
    return sum(spot_prices.at(prices[kind], now) for kind in up)


def expected(so_far: float, hourly: float, hours: tuple[float, float]) -> tuple[float, float]:
    """Dollars in the end, from the least to the most hours that are left, if the machines that
    are up now stay so long. They become fewer as work runs out, so that is rather too much."""
    return so_far + hourly * hours[0], so_far + hourly * hours[1]


def needed_hours(settings: Mapping[str, Any], jobs: int, seconds_a_job: float) -> float:
    """The machine-hours that jobs of this length fill, with every place of a machine taken."""
    places = int(settings["TASKS_PER_MACHINE"]) * int(settings["DOCKER_CORES"])
    return jobs * seconds_a_job / places / 3600


def in_words(cost: Cost) -> str:
    """The sentence about machine-hours and dollars."""
    if not cost.kinds or cost.unpriced_hours == cost.hours:
        return f"Machines: {units.hours(cost.hours)} hours; what they cost is not known."
    without = (
        f" (without {units.hours(cost.unpriced_hours)} hours of which EC2 tells no price)"
        if cost.unpriced_hours
        else ""
    )
    dollars = units.dollars(cost.dollars)
    about = dollars if dollars.startswith("under") else f"about {dollars}"
    return (
        f"Machines: {units.hours(cost.hours)} hours, {about}{without} at the spot prices of "
        "that time; disks, requests and logs come on top."
    )
