"""Make the report of a run from what was read of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from control.aws.s3 import put_json
from control.model import STATES, utc
from control.records import costs, failure_groups, other_costs
from control.reports import advice, collect, data
from control.reports.collect import Reading, number, text
from control.reports.data import Jobs, Report, as_json, over_time, spread, step

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.model import Run

_MOST_GROUPS = 50
_LONGEST_TEXT = 500
# The auto-monitor has a third of a processor and five minutes; report.json names no single job.
_LIMITS = collect.Limits(done=2_000, failed=2_000, attempts=200)
# The most points of a chart over time.
_POINTS = 120


def write_report(aws: AWS, run: Run, now: float) -> Report:
    """Read a run, write its report.json, and return the report."""
    reading = collect.read_run(aws.s3, run, _LIMITS)
    made = make_report(run, reading, costs.so_far(aws.ec2, run.machine_time, now), now)
    put_json(aws.s3, run.bucket, f"{run.prefix}report.json", as_json(made))
    return made


def make_report(
    run: Run, reading: Reading, cost: costs.Cost, now: float, *, local: bool = False
) -> Report:
    """Return the report at `now`. A `local` run was on this computer, whose prices are invented."""
    jobs, lost = _jobs(reading), _attempts(reading)
    states = {state: reading.count(state) for state in STATES}
    usage = _usage(reading, jobs, lost)
    report = Report(
        app_name=run.app_name,
        run_id=run.run_id,
        bucket=run.bucket,
        region=run.region,
        owner=run.owner,
        local=local,
        made=utc(now),
        began=utc(run.began),
        ended=run.ended,
        end_reason=run.end_reason,
        submitted=reading.submitted,
        **states,
        unfinished=max(0, reading.submitted - sum(states.values())),
        failed_by_cause=dict(reading.causes.most_common()),
        attempts=lost,
        read=data.Read(len(reading.done), len(reading.failed), reading.unreadable),
        progress=_progress(reading),
        machines=_machines(run, usage.seconds),
        jobs=jobs,
        failures=_failures(reading),
        cost=_cost(cost, other_costs.estimate(run.config, cost.hours, usage)),
        advice=(),
        config=run.config,
    )
    return dataclasses.replace(report, advice=advice.advise(report))


def clean(value: str, most: int = _LONGEST_TEXT) -> str:
    """Return a text of a job's without control characters and halves of surrogate pairs."""
    shown = "".join(c if c.isprintable() else " " for c in value[:most])
    return shown + (" ..." if len(value) > most else "")


def _jobs(reading: Reading) -> Jobs | None:
    """Return what the done jobs that were read needed; None if there are none."""
    if not reading.done:
        return None

    def of(name: str) -> list[float]:
        return [number(record, name) for record in reading.done]

    seconds = of("seconds")
    total = math.fsum(seconds)
    cores = [cpu / s if s else 0.0 for cpu, s in zip(of("cpu_seconds"), seconds, strict=True)]
    return Jobs(
        seconds=spread(seconds, of_time=True),
        memory_mb=spread(of("peak_memory_mb")),
        cores=spread(cores),
        disk_mb=spread(of("peak_disk_mb")),
        download_share=math.fsum(of("download_seconds")) / total if total else 0.0,
        upload_share=math.fsum(of("upload_seconds")) / total if total else 0.0,
        output_bytes=_mean(of("output_bytes")),
        output_files=_mean(of("output_files")),
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0


def _attempts(reading: Reading) -> data.Attempts:
    each = _mean([number(record, "seconds") for record in reading.lost])
    count = reading.attempts.total()
    failed, interrupted = reading.attempts["failed"], reading.attempts["interrupted"]
    return data.Attempts(failed, interrupted, round(each * count, 1))


def _usage(reading: Reading, jobs: Jobs | None, lost: data.Attempts) -> other_costs.Usage:
    """Return what all jobs used, from the means of those that were read."""
    done = reading.count("done")
    return other_costs.Usage(
        receives=done + reading.count("skipped") + lost.failed + lost.interrupted,
        seconds=(jobs.seconds.mean * done if jobs else 0.0) + lost.seconds,
        output_files=round(jobs.output_files * done) if jobs else 0,
        output_bytes=jobs.output_bytes * done if jobs else 0.0,
        log_bytes=reading.log_bytes,
    )


def _progress(reading: Reading) -> data.Progress | None:
    """Return how many jobs got their record in each bin of time; None before the first."""
    times = [t for some in reading.times.values() for t in some]
    if not times:
        return None
    first, last = min(times), max(times)
    width = step(max((last - first) / _POINTS, 1.0), of_time=True)
    begin = first // width * width
    bins = int((last - begin) // width) + 1
    counts = {
        state: over_time(reading.times.get(state, ()), begin, width, bins) for state in STATES
    }
    return data.Progress(begin=utc(begin), step=width, **counts)


def _machines(run: Run, busy_seconds: float) -> data.Machines:
    known = run.machine_time
    up = costs.machines_up(known)
    hours = costs.machine_hours(known)
    places = run.config.TASKS_PER_MACHINE * run.config.DOCKER_CORES
    return data.Machines(
        begin=utc(up[0][0]) if up else "",
        end=utc(known["until"]) if up else "",
        step=known.get("step", 0.0),
        up=tuple(round(count, 2) for _, count in up),
        hours=hours,
        places=places,
        busy_share=min(1.0, busy_seconds / 3600 / hours / places) if hours else 0.0,
    )


def _failures(reading: Reading) -> tuple[data.FailureGroup, ...]:
    """Return the reasons, most frequent first, each with one job as an example."""
    found = failure_groups.groups(
        {name: clean(text(record, name)) for name in ("cause", "reason", "job_name", "log_key")}
        for record in reading.failed
    )
    return tuple(
        data.FailureGroup(
            group.cause,
            group.reason,
            len(group.records),
            group.records[0]["job_name"],
            group.records[0]["log_key"],
        )
        for group in found[:_MOST_GROUPS]
    )


def _cost(cost: costs.Cost, others: list[other_costs.OtherCost]) -> data.Cost:
    return data.Cost(
        machine_hours=cost.hours,
        machines=cost.dollars if cost.unpriced_hours < cost.hours else None,
        unpriced_hours=cost.unpriced_hours,
        kinds=cost.kinds,
        others=tuple(others),
        others_once=other_costs.one_time(others),
    )
