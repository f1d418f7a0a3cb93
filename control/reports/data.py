"""The report of a run as data, and report.json."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from control.config import Config
from control.records.costs import OfKind
from control.records.other_costs import OtherCost

FORMAT = 1
# What a chart can show on a phone. Few values get fewer bins, or most would be empty.
_FEWEST_BINS, _MOST_BINS = 8, 40
# A tail beyond this multiple of the 95th percentile becomes one number.
_TAIL = 2.0
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
DAY = 86_400
# Widths that are round as time, in seconds.
_TIME_STEPS = (
    *(1, 2, 5, 10, 15, 20, 30),
    *(m * 60 for m in (1, 2, 5, 10, 15, 20, 30)),
    *(h * 3600 for h in (1, 2, 3, 6, 12)),
    *(d * DAY for d in (1, 2, 5, 10, 20, 50, 100)),
)


@dataclass(frozen=True)
class Histogram:
    """Counts of values in bins of `width` from 0; `beyond` counts those above the last bin."""

    width: float
    counts: tuple[int, ...]
    beyond: int

    @property
    def end(self) -> float:
        return self.width * len(self.counts)


@dataclass(frozen=True)
class Spread:
    """The spread of some values, to four figures: a sample of 4,000 has no more."""

    count: int
    mean: float
    least: float
    median: float
    p90: float
    p99: float
    most: float
    histogram: Histogram


@dataclass(frozen=True)
class Jobs:
    """The needs of done jobs: seconds, megabytes, processors that each kept busy on average."""

    seconds: Spread
    memory_mb: Spread
    cores: Spread
    disk_mb: Spread
    download_share: float
    upload_share: float
    output_bytes: float
    output_files: float


@dataclass(frozen=True)
class Attempts:
    """Attempts that did not end well, and the seconds that they took together."""

    failed: int
    interrupted: int
    seconds: float


@dataclass(frozen=True)
class Read:
    """The number of records that the figures are from, and of objects that were no records."""

    done: int
    failed: int
    unreadable: int


@dataclass(frozen=True)
class Progress:
    """Jobs that ended in each bin of `step` seconds, by state."""

    begin: str
    step: float
    done: tuple[int, ...]
    skipped: tuple[int, ...]
    cancelled: tuple[int, ...]
    failed: tuple[int, ...]


@dataclass(frozen=True)
class Machines:
    """Machines up in each bin of `step` seconds, on average, and how full they were.

    `places` is how many jobs one machine runs at a time. Times are "" if there was no machine.
    """

    begin: str
    end: str
    step: float
    up: tuple[float, ...]
    hours: float
    places: int
    busy_share: float


@dataclass(frozen=True)
class FailureGroup:
    """Failed jobs of one cause and reason; `example` is the name of one, with its log."""

    cause: str
    reason: str
    jobs: int
    example: str
    log_key: str


@dataclass(frozen=True)
class Cost:
    """Dollars: of machines (None if EC2 lists no price), and estimates of everything else."""

    machine_hours: float
    machines: float | None
    unpriced_hours: float
    kinds: tuple[OfKind, ...]
    others: tuple[OtherCost, ...]
    others_once: float


@dataclass(frozen=True)
class Advice:
    """One thing to change.

    `settings` is the line for config.py; `saving` the share of the machines' cost that it saves,
    0 if it saves none or nobody can tell.
    """

    text: str
    settings: str = ""
    saving: float = 0.0


@dataclass(frozen=True)
class Report:
    """All that a report shows of a run; times are ISO 8601 in UTC.

    A `local` run was on this computer: nothing was charged, and settings of machines did not apply.
    """

    app_name: str
    run_id: str
    bucket: str
    region: str
    owner: str
    local: bool
    made: str
    began: str
    ended: str
    end_reason: str
    submitted: int
    done: int
    skipped: int
    cancelled: int
    failed: int
    unfinished: int
    failed_by_cause: Mapping[str, int]
    attempts: Attempts
    read: Read
    progress: Progress | None
    machines: Machines
    jobs: Jobs | None
    failures: tuple[FailureGroup, ...]
    cost: Cost
    advice: tuple[Advice, ...]
    config: Config

    @property
    def ended_jobs(self) -> int:
        return self.done + self.skipped + self.cancelled + self.failed


def as_json(report: Report) -> dict[str, Any]:
    """Return the content of report.json: documentation/json.md."""
    names = [f.name for f in dataclasses.fields(report) if f.name != "config"]
    fields = {name: _plain(getattr(report, name)) for name in names}
    return {"format": FORMAT, **fields, "settings": report.config.container_values()}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return round(value, 6) if isinstance(value, float) else value


def spread(values: Iterable[float], *, of_time: bool = False) -> Spread:
    """Return the spread of at least one value."""
    ordered = sorted(values)

    def at(share: float) -> float:
        return _short(ordered[max(0, math.ceil(share * len(ordered)) - 1)])

    return Spread(
        count=len(ordered),
        mean=_short(math.fsum(ordered) / len(ordered)),
        least=at(0),
        median=at(0.5),
        p90=at(0.9),
        p99=at(0.99),
        most=at(1),
        histogram=histogram(ordered, of_time=of_time),
    )


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def histogram(ordered: Sequence[float], *, of_time: bool = False) -> Histogram:
    """Return bins of a round width from 0 for values in order; a long tail becomes one number."""
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
    """Return a round width of at least `least`; for seconds one that is round as time."""
    if of_time and 1 <= least <= _TIME_STEPS[-1]:
        return float(next(one for one in _TIME_STEPS if one >= least))
    size = 10.0 ** math.floor(math.log10(least))
    return next(nice for nice in _NICE if nice * size >= least * (1 - 1e-9)) * size


def over_time(times: Iterable[float], begin: float, width: float, bins: int) -> tuple[int, ...]:
    """Return how many times are in each of the bins from `begin`, those outside in the nearest."""
    counts = [0] * bins
    for moment in times:
        counts[min(bins - 1, max(0, int((moment - begin) // width)))] += 1
    return tuple(counts)
