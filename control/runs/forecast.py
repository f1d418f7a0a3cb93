"""What the jobs that are left will cost, if they take as long as those of an earlier run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from control.runs import spending
from control.services import records
from control.services.prices import Prices
from control.units import dollars, duration, hours
from control.words import several

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.services.records import Run

# An app that has had so many runs without a done job is too new to tell.
_MOST_RUNS = 5


class Before(NamedTuple):
    """An earlier run, and how long its done jobs took, in seconds, on average."""

    run_id: str
    seconds: float


def say(s3: S3Client, run: Run, jobs: int, prices: Prices) -> str:
    """The sentence about `jobs` of a run; "" if no earlier run of the app tells their length."""
    before = last(s3, run)
    return in_words(run.settings, jobs, before, prices) if before else ""


def last(s3: S3Client, run: Run) -> Before | None:
    """The newest earlier run of this app with a report of done jobs."""
    earlier = [i for i in records.run_ids(s3, run.bucket, run.app_name) if i < run.run_id]
    for run_id in sorted(earlier, reverse=True)[:_MOST_RUNS]:
        key = f"{records.run_prefix(run.app_name, run_id)}report.json"
        try:
            body = s3.get_object(Bucket=run.bucket, Key=key)["Body"].read()
        except s3.exceptions.NoSuchKey:
            continue
        seconds = _mean(json.loads(body))
        if seconds:
            return Before(run_id, seconds)
    return None


def _mean(report: Any) -> float:
    """0 for the report of an earlier version, which held counts only."""
    jobs = report.get("jobs") if isinstance(report, dict) else None
    return float(jobs["seconds"]["mean"]) if jobs and jobs["seconds"] else 0.0


def in_words(settings: dict[str, Any], jobs: int, before: Before, prices: Prices) -> str:
    """Machine-hours, and dollars from the lowest to the highest spot price of 30 days."""
    needed = spending.needed_hours(settings, jobs, before.seconds)
    limit = settings["MACHINE_PRICE"]
    low, high = (
        dollars(needed * (price if limit is None else min(price, limit)))
        for price in (prices.lowest, prices.highest)
    )
    span = low if low == high else f"{low} to {high}"
    return (
        f"Expected: {several(jobs, 'job')} of {duration(before.seconds)} each, as in run "
        f"{before.run_id}, fill {hours(needed)} machine-hours: {span} at the spot prices of "
        "30 days."
    )
