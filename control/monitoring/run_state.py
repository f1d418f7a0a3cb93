"""The state of a run at this moment, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from control.aws.fleet import LIVE_STATES
from control.aws.sqs import Counts
from control.model import JobCounts, utc
from control.monitoring import observe, why_idle
from control.records import machine_costs, progress, states

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.aws.session import AWS
    from control.explain.reason import Explained
    from control.model import Run
    from control.monitoring.facts import Observed
    from control.records.machine_costs import Cost
    from control.records.progress import Left, Rate

_NO_MESSAGES = Counts(0, 0, 0)


@dataclass(frozen=True)
class Spent:
    """Dollars for machines: so far, an hour with those that are up, and in all at the end."""

    so_far: Cost
    hourly: float | None
    expected: tuple[float, float] | None


@dataclass(frozen=True)
class RunState:
    """A run at `now`; `seen` is None when it has ended, `reason` when jobs run.

    `causes` counts the failed jobs by cause.
    """

    run: Run
    now: float
    jobs: JobCounts
    seen: Observed | None
    rate: Rate | None
    left: Left | None
    spent: Spent
    reason: Explained | None
    causes: Mapping[str, int] = field(default_factory=dict)

    @property
    def queue(self) -> Counts:
        """Return the counts of the queue; all 0 if it is gone."""
        return (self.seen and self.seen.queue) or _NO_MESSAGES

    @property
    def word(self) -> str:
        """Return 'ended', 'running', or 'idle': set up, but no job runs."""
        if self.seen is None:
            return "ended"
        return "running" if self.reason is None else "idle"

    def machines(self) -> tuple[int, int, int]:
        """Return how many are requested, running, and registered in the cluster."""
        if self.seen is None:
            return 0, 0, 0
        live = [f.target for f in self.seen.fleets if f.state in LIVE_STATES]
        joined = [m for m in self.seen.machines if m.container_instance]
        return sum(live), len(self.seen.machines), len(joined)


def look(aws: AWS, run: Run, now: float) -> RunState:
    """Return the state of the run. Counts jobs by listings alone; asks each service once."""
    if run.ended:
        tally = states.tally(aws.s3, run)
        spent = Spent(machine_costs.so_far(aws.ec2, run.machine_time, now), None, None)
        return RunState(run, now, tally.counts, None, None, None, spent, None, tally.causes)

    def count(s3: S3Client, run: Run) -> JobCounts:
        nonlocal tally
        tally = states.tally(s3, run)
        return tally.counts

    tally = states.Tally(JobCounts(0, 0, 0, 0), {}, {})
    seen = observe.observe(aws, run, now, count=count)
    why = why_idle.look(aws, run, seen)
    rate = progress.rate(tally.finished, now) if why is None else None
    unfinished = seen.jobs.unfinished
    left = progress.left(rate, unfinished) if rate and unfinished else None
    spent = _spent(aws, run, seen, left)
    return RunState(run, now, seen.jobs, seen, rate, left, spent, why, tally.causes)


def _spent(aws: AWS, run: Run, seen: Observed, left: Left | None) -> Spent:
    # The monitor records the machines' time once a minute; the time since then is added here.
    known = machine_costs.grown_machine_time(run.machine_time, seen.machines, seen.now)
    so_far = machine_costs.so_far(aws.ec2, known, seen.now)
    hourly = machine_costs.hourly(aws.ec2, [m.kind for m in seen.machines], seen.now)
    if left is None or hourly is None or so_far.unpriced_hours or math.isinf(left.high):
        return Spent(so_far, hourly, None)
    hours = left.low / 3600, left.high / 3600
    return Spent(so_far, hourly, machine_costs.expected(so_far.dollars, hourly, hours))


def as_json(state: RunState) -> dict[str, Any]:
    """Return the state as documentation/json.md describes it."""
    run, jobs, queue = state.run, state.jobs, state.queue
    requested, running, registered = state.machines()
    service = state.seen.service if state.seen else None
    return {
        "app_name": run.app_name,
        "run_id": run.run_id,
        "bucket": run.bucket,
        "owner": run.owner,
        "at": utc(state.now),
        "state": state.word,
        "ended": run.ended or None,
        "jobs": {
            "submitted": jobs.submitted,
            "waiting": queue.visible + queue.delayed,
            "running": queue.in_flight,
            "done": jobs.done,
            "skipped": jobs.skipped,
            "failed": jobs.failed,
            "cancelled": jobs.cancelled,
            "unfinished": jobs.unfinished,
            "failed_by_cause": dict(sorted(state.causes.items())),
        },
        "machines": {"requested": requested, "running": running, "registered": registered},
        "containers": {
            "wanted": service.desired if service else 0,
            "running": service.running if service else 0,
            "starting": service.pending if service else 0,
        },
        "rate": _rate(state.rate),
        "left": _left(state.left),
        "cost": _cost(state.spent),
        "reason": _reason(state.reason),
    }


def _rate(rate: Rate | None) -> dict[str, Any] | None:
    if rate is None:
        return None
    return {
        "jobs_per_hour": round(rate.per_hour, 1),
        "low": round(rate.low, 1),
        "high": round(rate.high, 1),
        "minutes": rate.minutes,
    }


def _left(left: Left | None) -> dict[str, Any] | None:
    if left is None:
        return None
    return {
        "seconds": round(left.likely),
        "low": round(left.low),
        "high": None if math.isinf(left.high) else round(left.high),
    }


def _cost(spent: Spent) -> dict[str, Any]:
    low, high = spent.expected or (None, None)
    return {
        "machine_hours": round(spent.so_far.hours, 6),
        "dollars": _cents(spent.so_far.dollars),
        "unpriced_hours": round(spent.so_far.unpriced_hours, 6),
        "dollars_per_hour": _cents(spent.hourly),
        "expected_low": _cents(low),
        "expected_high": _cents(high),
    }


def _cents(number: float | None) -> float | None:
    return None if number is None else round(float(number), 2)


def _reason(found: Explained | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "situation": found.situation,
        "what": found.what,
        "fix": found.fix,
        "next": found.next,
        "waiting_helps": found.waiting_helps,
    }
