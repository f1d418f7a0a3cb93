"""The speed of a run, and the time until its end: pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

MINUTE = 60
# The rate now is that of the latest minutes in which this many jobs ended: with 30 jobs its range
# is about a third up and down even if they end evenly.
_ENOUGH_JOBS = 30
_LEAST_MINUTES = 10
_FEWEST_JOBS = 5
_PARTS = 10
# Two standard errors either way: if jobs keep ending like this, 19 of 20 ranges are right.
_ERRORS = 2.0


@dataclass(frozen=True)
class Rate:
    """Jobs finished per hour over the last `minutes`, with the range of its standard errors."""

    per_hour: float
    low: float
    high: float
    minutes: int


@dataclass(frozen=True)
class Left:
    """Seconds until the last job: likely, at least, and at most (infinite if unknown)."""

    likely: float
    low: float
    high: float


def rate(finished: Mapping[int, int], now: float) -> Rate | None:
    """Return the rate now, from the jobs finished in each minute; None below five jobs."""
    if not finished or sum(finished.values()) < _FEWEST_JOBS:
        return None
    end = math.ceil(now / MINUTE) * MINUTE
    most = max(1, (end - min(finished)) // MINUTE)
    minutes = min(_LEAST_MINUTES, most)
    while minutes < most and _between(finished, end - minutes * MINUTE, end) < _ENOUGH_JOBS:
        minutes = min(2 * minutes, most)
    jobs, error = _count(finished, end, minutes)
    hours = max(now - (end - minutes * MINUTE), 1.0) / 3600
    return Rate(jobs / hours, max(0.0, jobs - error) / hours, (jobs + error) / hours, minutes)


def left(rate: Rate, jobs: int) -> Left | None:
    """Return the time that `jobs` take at this rate; None if none was finished recently."""
    if rate.per_hour <= 0:
        return None
    longest = jobs / rate.low * 3600 if rate.low > 0 else math.inf
    return Left(jobs / rate.per_hour * 3600, jobs / rate.high * 3600, longest)


def _count(finished: Mapping[int, int], end: int, minutes: int) -> tuple[int, float]:
    """Return the jobs in the last `minutes`, and the error from their variation over time."""
    parts = min(_PARTS, minutes)
    start = end - minutes * MINUTE
    edges = [start + minutes * part // parts * MINUTE for part in range(parts + 1)]
    counts = [_between(finished, low, high) for low, high in zip(edges, edges[1:], strict=False)]
    jobs = sum(counts)
    mean = jobs / parts
    spread = sum((count - mean) ** 2 for count in counts) / max(1, parts - 1)
    # Jobs that end by chance vary by at least the root of their number.
    return jobs, _ERRORS * math.sqrt(parts * max(spread, mean))


def _between(finished: Mapping[int, int], low: int, high: int) -> int:
    return sum(jobs for minute, jobs in finished.items() if low <= minute < high)
