"""Costs of a run: machines, everything else, and the forecast."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from control.aws.spot_prices import Prices, mean_price, price_at, price_history
from control.config import Config
from control.model import run_prefix
from control.records import store
from control.text import about_dollars, format_dollars, format_duration, format_hours, several

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client

    from control.aws.spot_prices import Changes
    from control.model import Run
    from control.monitoring.facts import Machine

# The series begins with bins of a minute. When it has more bins than this, pairs are merged: it
# takes about a kilobyte of run.json for each kind of machine.
_FIRST_STEP = 60.0
_MOST_BINS = 120


def grown_machine_time(
    known: Mapping[str, Any], machines: Iterable[Machine], now: float
) -> dict[str, Any]:
    """Return the machine time with the machines that are up now.

    {"until": now, "seconds": {"m5.xlarge us-east-1a": 90}, "begin": ..., "step": 60, "bins":
    {"m5.xlarge us-east-1a": [60, 30]}}: seconds by kind in all, and in bins of `step` seconds
    since `begin`. A machine counts from its launch; its time after the last observation is left
    out, at most a minute. Two monitors that observe the same machines count them once.
    """
    until = float(known.get("until", 0.0))
    spans = [(m.kind, max(until, m.launched), now) for m in machines]
    spans = [span for span in spans if span[1] < now]
    if not spans and not known.get("seconds"):
        return dict(known)
    seconds = dict(known.get("seconds", {}))
    for kind, start, end in spans:
        seconds[kind] = seconds.get(kind, 0.0) + end - start
    return {"until": max(until, now), "seconds": seconds, **_binned(known, spans, now)}


def _binned(
    known: Mapping[str, Any], spans: list[tuple[str, float, float]], now: float
) -> dict[str, Any]:
    step = float(known.get("step", _FIRST_STEP))
    bins = {kind: list(some) for kind, some in known.get("bins", {}).items()}
    begin = known.get("begin")
    if begin is None:
        if not spans:
            return {}
        begin = round(min(start for _, start, _ in spans), 1)
    while now - begin > step * _MOST_BINS:
        step *= 2
        bins = {kind: _halved(some) for kind, some in bins.items()}
    for kind, start, end in spans:
        mine = bins.setdefault(kind, [])
        for number, part in _parts(max(0.0, start - begin), end - begin, step):
            mine.extend([0.0] * (number + 1 - len(mine)))
            mine[number] = round(mine[number] + part, 1)
    return {"begin": begin, "step": step, "bins": bins}


def _halved(some: list[float]) -> list[float]:
    return [round(sum(some[i : i + 2]), 1) for i in range(0, len(some), 2)]


def _parts(start: float, end: float, step: float) -> Iterator[tuple[int, float]]:
    """Yield the number of each bin that a span touches, and the seconds in it."""
    number = int(start // step)
    while start < end:
        border = min(end, (number + 1) * step)
        yield number, border - start
        start, number = border, number + 1


def machine_hours(known: Mapping[str, Any]) -> float:
    """Return all machine-hours."""
    seconds: Mapping[str, float] = known.get("seconds", {})
    return sum(seconds.values()) / 3600


def machines_up(known: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Return (start, mean number of machines that were up) of each bin of the run."""
    bins: Mapping[str, list[float]] = known.get("bins", {})
    begin, step = known.get("begin", 0.0), known.get("step", _FIRST_STEP)
    found = []
    for number in range(max((len(some) for some in bins.values()), default=0)):
        since = begin + number * step
        # The last bin is not over yet.
        length = min(step, known["until"] - since)
        total = sum(some[number] for some in bins.values() if number < len(some))
        if length > 0:
            found.append((since, total / length))
    return found


@dataclass(frozen=True)
class OfKind:
    """Cost of the machines of one type and zone; `dollars` is None if no price is known."""

    kind: str
    hours: float
    dollars: float | None


@dataclass(frozen=True)
class Cost:
    """Cost of the machines of a run so far: dollars for those whose price is known."""

    hours: float
    dollars: float
    kinds: tuple[OfKind, ...]

    @property
    def unpriced_hours(self) -> float:
        """Return the machine-hours without a known price, which `dollars` leaves out."""
        return sum(one.hours for one in self.kinds if one.dollars is None)


def machine_cost(known: Mapping[str, Any], prices: Mapping[str, Changes]) -> Cost:
    """Return the cost of a machine time: each bin of its series at the price of that time."""
    kinds = tuple(
        OfKind(kind, seconds / 3600, _dollars(known, kind, prices.get(kind, ())))
        for kind, seconds in sorted(known.get("seconds", {}).items())
    )
    dollars = sum(one.dollars for one in kinds if one.dollars is not None)
    return Cost(machine_hours(known), dollars, kinds)


def _dollars(known: Mapping[str, Any], kind: str, changes: Changes) -> float | None:
    if not changes:
        return None
    hours: float = known["seconds"][kind] / 3600
    bins: list[float] = known.get("bins", {}).get(kind, [])
    if not sum(bins):
        return hours * price_at(changes, known["until"])
    begin, step = known["begin"], known["step"]
    # The bins are rounded: they show only how the hours spread over time.
    weighed = sum(
        seconds * mean_price(changes, begin + i * step, begin + (i + 1) * step)
        for i, seconds in enumerate(bins)
    )
    return hours * weighed / sum(bins)


def so_far(ec2: EC2Client, known: Mapping[str, Any], now: float) -> Cost:
    """Return the cost of the machines of a run so far, at the spot prices of each time."""
    start = known.get("begin", known.get("until", now))
    types = {kind.split(" ")[0] for kind in known.get("seconds", {})}
    end = min(now, known.get("until", now))
    return machine_cost(known, price_history(ec2, types, start, end))


def hourly(ec2: EC2Client, kinds: Iterable[str], now: float) -> float | None:
    """Return what machines of these kinds cost an hour now; None if a price is not known."""
    up = list(kinds)
    prices = price_history(ec2, {kind.split(" ")[0] for kind in up}, now, now)
    if not all(kind in prices for kind in up):
        return None
    return sum(price_at(prices[kind], now) for kind in up)


def expected(so_far: float, hourly: float, hours: tuple[float, float]) -> tuple[float, float]:
    """Return (least, most) dollars at the end, from the least and most hours that are left.

    Assumes that the machines that are up now stay. They become fewer as work runs out, so the
    true cost is rather lower.
    """
    return so_far + hourly * hours[0], so_far + hourly * hours[1]


def needed_hours(config: Config, jobs: int, seconds_a_job: float) -> float:
    """Return the machine-hours that these jobs need if every place on a machine is taken."""
    places = config.TASKS_PER_MACHINE * config.DOCKER_CORES
    return jobs * seconds_a_job / places / 3600


def in_words(cost: Cost) -> str:
    """Return the sentence about machine-hours and dollars."""
    if not cost.kinds or cost.unpriced_hours == cost.hours:
        return f"Machines: {format_hours(cost.hours)} hours, at an unknown price."
    without = (
        f" (without {format_hours(cost.unpriced_hours)} hours without a known price)"
        if cost.unpriced_hours
        else ""
    )
    return (
        f"Machines: {format_hours(cost.hours)} hours, {about_dollars(cost.dollars)}{without} at "
        "the spot prices of that time; disks, requests and logs come on top."
    )


# An app with this many runs without a done job is too new for a forecast.
_MOST_RUNS = 5


class Before(NamedTuple):
    """An earlier run, and the mean seconds of its done jobs."""

    run_id: str
    seconds: float


def forecast(s3: S3Client, run: Run, jobs: int, prices: Prices) -> str:
    """Return the sentence about `jobs` of a run; "" if no earlier run shows their length."""
    before = last_run_with_report(s3, run)
    return forecast_in_words(run.config, jobs, before, prices) if before else ""


def last_run_with_report(s3: S3Client, run: Run) -> Before | None:
    """Return the newest earlier run of this app with a report of done jobs."""
    earlier = [i for i in store.run_ids(s3, run.bucket, run.app_name) if i < run.run_id]
    for run_id in sorted(earlier, reverse=True)[:_MOST_RUNS]:
        key = f"{run_prefix(run.app_name, run_id)}report.json"
        try:
            body = s3.get_object(Bucket=run.bucket, Key=key)["Body"].read()
        except s3.exceptions.NoSuchKey:
            continue
        seconds = _mean(body)
        if seconds:
            return Before(run_id, seconds)
    return None


def _mean(report: bytes) -> float:
    """Return the mean seconds of the done jobs of a report.json; 0 if it has none."""
    try:
        return float(json.loads(report)["jobs"]["seconds"]["mean"])
    except (ValueError, KeyError, TypeError):
        return 0.0


def forecast_in_words(config: Config, jobs: int, before: Before, prices: Prices) -> str:
    """Return the sentence with the dollars at the lowest and highest spot price of 30 days."""
    needed = needed_hours(config, jobs, before.seconds)
    limit = config.MACHINE_PRICE
    low, high = (
        format_dollars(needed * (price if limit is None else min(price, limit)))
        for price in (prices.lowest, prices.highest)
    )
    span = low if low == high else f"{low} to {high}"
    return (
        f"Expected: {several(jobs, 'job')} of {format_duration(before.seconds)} each, as in run "
        f"{before.run_id}, fill {format_hours(needed)} machine-hours: {span} at the spot prices of "
        "30 days."
    )
