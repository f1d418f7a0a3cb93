"""S3: how many jobs are in which state, and when they came to it, from listings alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

from control.services import records
from control.services.records import STATES, JobCounts

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.services.listing import Entry
    from control.services.records import Run

# Of what S3 says of the time, '2026-01-31T12:30:00.000Z', as much as names the minute.
_TO_THE_MINUTE = 16


@dataclass(frozen=True)
class Tally:
    """The counts of a run, and how many jobs were finished in each minute (seconds since 1970)."""

    counts: JobCounts
    finished: Mapping[int, int]


def of_run(s3: S3Client, run: Run) -> Tally:
    """Count a run's jobs. Needs a thousandth of a request a job, and no memory that grows with
    their number."""
    sizes = [records.part_sizes(key) for key in records.parts(s3, run)]
    totals, minutes = [0] * len(STATES), Counter[str]()
    for states, some in records.over_records(s3, run, _tally):
        totals = [total + more for total, more in zip(totals, states, strict=True)]
        minutes.update(some)
    counts = JobCounts(sum(new for new, _ in sizes), *totals)
    return Tally(counts, {_seconds(minute): jobs for minute, jobs in minutes.items()})


def _tally(entries: Iterable[Entry]) -> tuple[list[int], Counter[str]]:
    """(jobs by state, jobs by minute): of a job with several records the best one counts."""
    totals, minutes = [0] * len(STATES), Counter[str]()
    named = ((entry.key.rsplit("/", 1)[-1].split("."), entry.written) for entry in entries)
    known = ((name, at) for name, at in named if len(name) == 3 and name[1] in STATES)
    for _, group in groupby(known, key=lambda one: one[0][0]):
        best, at = min((STATES.index(name[1]), at) for name, at in group)
        totals[best] += 1
        minutes[at[:_TO_THE_MINUTE]] += 1
    return totals, minutes


def _seconds(minute: str) -> int:
    return int(datetime.fromisoformat(f"{minute}+00:00").timestamp())
