"""The data of a report: report.json."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from control.aws.s3 import put_json
from control.config import Config
from control.model import STATES, seconds, utc
from control.records import costs, failure_groups
from control.reports import advice, collect
from control.reports.collect import Reading, number, text

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.model import Run
    from control.records.costs import Cost

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


FORMAT = 1

_MOST_GROUPS = 50

_LONGEST_TEXT = 500

# The auto-monitor has a third of a processor and five minutes; report.json names no single job.
_LIMITS = collect.Limits(done=2_000, failed=2_000, attempts=200)

# A chart of a run over time has at most so many points.
_POINTS = 120


def write(aws: AWS, run: Run, now: float) -> dict[str, Any]:
    """Read a run and write its report.json; returns it."""
    reading = collect.read_run(aws.s3, run, _LIMITS)
    cost = costs.so_far(aws.ec2, run.machine_time, now)
    content = make(run, reading, cost, now)
    put_json(aws.s3, run.bucket, f"{run.prefix}report.json", content)
    return content


def make(
    run: Run,
    reading: Reading,
    cost: Cost,
    now: float,
    *,
    charged: bool = True,
    config: Config | None = None,
) -> dict[str, Any]:
    """The report. `charged` is False for an AWS on this computer, whose prices are made up;
    `settings` are those that the advice is about, if not the run's own."""
    jobs = _jobs(reading)
    states = {state: reading.count(state) for state in STATES}
    usage = _usage(reading, jobs)
    beside = costs.other_costs(run.config, cost.hours, usage)
    ended = seconds(run.ended) if run.ended else 0.0
    content = {
        "format": FORMAT,
        "app_name": run.app_name,
        "run_id": run.run_id,
        "bucket": run.bucket,
        "region": run.region,
        "owner": run.owner,
        "made": utc(now),
        "began": utc(run.began),
        "ended": run.ended,
        "end_reason": run.end_reason,
        "submitted": reading.submitted,
        **states,
        "unfinished": max(0, reading.submitted - sum(states.values())),
        "attempts": _attempts(reading),
        "read": {
            "done": len(reading.done),
            "failed": len(reading.failed),
            "unreadable": reading.unreadable,
        },
        "progress": _progress(reading, ended or now),
        "machines": _machines(run, usage.seconds),
        "jobs": jobs,
        "failures": _failures(reading),
        "cost": _cost(cost, beside, charged),
        "settings": run.config.container_values(),
    }
    content["advice"] = [
        dataclasses.asdict(one)
        for one in advice.advise(content, (config or run.config).container_values())
    ]
    return content


def clean(value: str, most: int = _LONGEST_TEXT) -> str:
    """A text of a job's without what cannot be shown or stored: control characters, halves of
    surrogate pairs."""
    shown = "".join(c if c.isprintable() else " " for c in value[:most])
    return shown + (" ..." if len(value) > most else "")


def _jobs(reading: Reading) -> dict[str, Any]:
    """How long jobs took, and what they used, from the done records that were read."""
    done = reading.done
    seconds = [number(record, "seconds") for record in done]
    total = math.fsum(seconds)
    cores = [number(r, "cpu_seconds") / s for r, s in zip(done, seconds, strict=True) if s > 0]

    def of(name: str) -> list[float]:
        return [number(record, name) for record in done]

    return {
        "seconds": _shape(seconds, of_time=True),
        "memory_mb": _shape(of("peak_memory_mb")),
        "cores": _shape(cores),
        "disk_mb": _shape(of("peak_disk_mb"), bins=False),
        "download_share": math.fsum(of("download_seconds")) / total if total else 0.0,
        "upload_share": math.fsum(of("upload_seconds")) / total if total else 0.0,
        "output_bytes": _mean(of("output_bytes")),
        "output_files": _mean(of("output_files")),
    }


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0


def _shape(
    values: Sequence[float], *, of_time: bool = False, bins: bool = True
) -> dict[str, Any] | None:
    spanned = spread(values)
    if spanned is None:
        return None
    shape: dict[str, Any] = {
        name: _short(value) for name, value in dataclasses.asdict(spanned).items()
    }
    bars = histogram(values, of_time=of_time) if bins else None
    if bars:
        shape["histogram"] = {**dataclasses.asdict(bars), "counts": list(bars.counts)}
    return shape


def _short(value: float) -> float:
    """Four figures are what a sample of 5,000 tells."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _attempts(reading: Reading) -> dict[str, Any]:
    seconds = _mean([number(record, "seconds") for record in reading.lost])
    count = sum(reading.attempts.values())
    return {
        "failed": reading.attempts["failed"],
        "interrupted": reading.attempts["interrupted"],
        "seconds": round(seconds * count, 1),
    }


def _usage(reading: Reading, jobs: Mapping[str, Any]) -> costs.Usage:
    """What all jobs used, from the means of those that were read."""
    done = reading.count("done")
    lost = _attempts(reading)
    seconds = (jobs["seconds"] or {}).get("mean", 0.0) * done + lost["seconds"]
    return costs.Usage(
        receives=done + reading.count("skipped") + lost["failed"] + lost["interrupted"],
        seconds=seconds,
        output_files=round(jobs["output_files"] * done),
        output_bytes=jobs["output_bytes"] * done,
        log_bytes=reading.log_bytes,
    )


def _progress(reading: Reading, until: float) -> dict[str, Any] | None:
    """How many jobs got their record in each bin of time; None before the first."""
    times = [t for some in reading.times.values() for t in some]
    if not times:
        return None
    first, last = min(times), max(times)
    width = step(max((last - first) / _POINTS, 1.0), of_time=True)
    begin = first // width * width
    bins = int((last - begin) // width) + 1
    return {
        "begin": utc(begin),
        "step": width,
        **{state: over_time(reading.times.get(state, ()), begin, width, bins) for state in STATES},
    }


def _machines(run: Run, busy_seconds: float) -> dict[str, Any]:
    up = costs.machines_up(run.machine_time)
    hours = costs.machine_hours(run.machine_time)
    places = run.config.TASKS_PER_MACHINE * run.config.DOCKER_CORES
    return {
        "begin": utc(up[0][0]) if up else "",
        "step": run.machine_time.get("step", 0),
        "up": [round(count, 2) for _, count in up],
        "hours": round(hours, 6),
        "places": places,
        "busy_share": min(1.0, round(busy_seconds / 3600 / hours / places, 4)) if hours else 0.0,
    }


def _failures(reading: Reading) -> list[dict[str, Any]]:
    """The reasons, most frequent first, each with one job as an example."""
    found = failure_groups.groups(
        {name: clean(text(record, name)) for name in ("cause", "reason", "job_name", "log_key")}
        for record in reading.failed
    )
    return [
        {
            "cause": group.cause,
            "reason": group.reason,
            "jobs": len(group.records),
            "example": group.records[0]["job_name"],
            "log_key": group.records[0]["log_key"],
        }
        for group in found[:_MOST_GROUPS]
    ]


def _cost(cost: Cost, beside: list[costs.OtherCost], charged: bool) -> dict[str, Any]:
    known = cost.unpriced_hours < cost.hours
    return {
        "charged": charged,
        "machine_hours": round(cost.hours, 6),
        "machines": round(cost.dollars, 6) if known else None,
        "unpriced_hours": round(cost.unpriced_hours, 6),
        "kinds": [
            {"kind": one.kind, "hours": round(one.hours, 6), "dollars": _rounded(one.dollars)}
            for one in cost.kinds
        ],
        "beside": [dataclasses.asdict(one) for one in beside],
        "beside_once": round(costs.one_time(beside), 6),
    }


def _rounded(dollars: float | None) -> float | None:
    return None if dollars is None else round(dollars, 6)
