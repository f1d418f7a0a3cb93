"""Many numbers in a few: percentiles, histograms, counts over time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# What a chart can show on a phone; of few values fewer bins, or most would be empty.
_FEWEST_BINS, _MOST_BINS = 8, 40
# Beyond so many times the 95th percentile, values are gathered in one bin at the end.
_TAIL = 2.0
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
# Times have steps of their own: seconds, minutes, hours.
_TIME_STEPS = tuple(
    m * unit for unit in (1, 60, 3600) for m in (1, 2, 5, 10, 15, 20, 30) if m * unit < 3600 * 24
)


@dataclass(frozen=True)
class Spread:
    """How some values spread."""

    count: int
    mean: float
    least: float
    median: float
    p90: float
    p99: float
    most: float


@dataclass(frozen=True)
class Histogram:
    """How many values lie in each bin of `width` from 0 on; `beyond` lie above the last."""

    width: float
    counts: tuple[int, ...]
    beyond: int


def spread(values: Iterable[float]) -> Spread | None:
    """The spread of some values; None of none."""
    ordered = sorted(values)
    if not ordered:
        return None

    def at(share: float) -> float:
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    mean = math.fsum(ordered) / len(ordered)
    return Spread(len(ordered), mean, ordered[0], at(0.5), at(0.9), at(0.99), ordered[-1])


def histogram(values: Sequence[float], *, of_time: bool = False) -> Histogram | None:
    """Bins of a round width from 0 on; a long tail is one number. None of no values."""
    if not values:
        return None
    ordered = sorted(values)
    high = ordered[-1]
    tail = ordered[math.ceil(0.95 * len(ordered)) - 1] * _TAIL
    if len(ordered) >= 100 and 0 < tail < high:
        high = tail
    bins = min(_MOST_BINS, max(_FEWEST_BINS, math.ceil(2 * math.sqrt(len(ordered)))))
    width = step(max(high / bins, 1e-3), of_time=of_time)
    counts = [0] * (math.floor(high / width) + 1)
    beyond = 0
    for value in ordered:
        number = math.floor(value / width)
        if number < len(counts):
            counts[number] += 1
        else:
            beyond += 1
    return Histogram(width, tuple(counts), beyond)


def step(least: float, *, of_time: bool = False) -> float:
    """A round width of at least `least`; for seconds one that is round as time."""
    if of_time and 1 <= least <= _TIME_STEPS[-1]:
        return float(next(one for one in _TIME_STEPS if one >= least))
    size = 10.0 ** math.floor(math.log10(least))
    return next(nice for nice in _NICE if nice * size >= least * (1 - 1e-9)) * size


def over_time(times: Iterable[float], begin: float, width: float, bins: int) -> list[int]:
    """How many times lie in each of so many bins from `begin` on; those outside in the nearest."""
    counts = [0] * bins
    for moment in times:
        counts[min(bins - 1, max(0, int((moment - begin) // width)))] += 1
    return counts
