"""How many jobs are in which state, from key names alone."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

from control.aws.s3 import Entry, list_entries, list_keys, list_pages
from control.model import STATES, JobCounts, Run, run_prefix
from control.records import store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

_HEX = "0123456789abcdef"

_RECORD = re.compile(r"/([0-9a-f]{16})\.(done|skipped|failed)\.json$")

_PART = re.compile(r"-new(\d+)-again(\d+)\.jsonl\.gz$")


def count(s3: S3Client, run: Run) -> JobCounts:
    """How many jobs are in which state. Reads listings only, the records' in 16 at a time."""
    sizes = [part_sizes(key) for key in parts(s3, run)]
    states = _count_states(s3, run)
    return JobCounts(
        submitted=sum(new for new, _ in sizes),
        **{state: sum(group[i] for group in states) for i, state in enumerate(STATES)},
    )


def parts(s3: S3Client, run: Run) -> Iterator[str]:
    """The keys of the parts of `submitted/`, in the order of submission."""
    for key in list_keys(s3, run.bucket, f"{run.prefix}submitted/"):
        if _PART.search(key):
            yield key


def part_sizes(key: str) -> tuple[int, int]:
    """(jobs new in this run, jobs sent again) of a part, from the name of its key."""
    new, again = _PART.findall(key)[0]
    return int(new), int(again)


def _count_states(s3: S3Client, run: Run) -> list[list[int]]:
    return over_records(s3, run, lambda entries: tally(entry.key for entry in entries))


def finished_ids(s3: S3Client, bucket: str, app_name: str) -> Iterator[int]:
    """The ids of the jobs that any run of this app has done or skipped, as numbers."""

    def numbers(entries: Iterable[Entry]) -> array[int]:
        names = (_RECORD.search(entry.key) for entry in entries)
        return array("Q", (int(name[1], 16) for name in names if name and name[2] != "failed"))

    for run_id in store.run_ids(s3, bucket, app_name):
        prefix = run_prefix(app_name, run_id)
        for some in _over_records(s3, bucket, prefix, numbers):
            yield from some


def over_records(s3: S3Client, run: Run, what: Callable[[Iterable[Entry]], T]) -> list[T]:
    """`what` of a run's records, in the order of keys; over 1,000 are read in 16 lists at once.

    The records of one job are all in one list.
    """
    return _over_records(s3, run.bucket, run.prefix, what)


def _over_records(
    s3: S3Client, bucket: str, prefix: str, what: Callable[[Iterable[Entry]], T]
) -> list[T]:
    prefix += "records/"
    first, more = next(list_pages(s3, bucket, prefix))
    if not more:
        return [what(first)]

    def one(digit: str) -> T:
        return what(list_entries(s3, bucket, prefix + digit))

    with ThreadPoolExecutor(len(_HEX)) as pool:
        return list(pool.map(one, _HEX))


def tally(keys: Iterable[str]) -> list[int]:
    """How many jobs are done, skipped and failed, from the ordered keys of their records."""
    totals = [0] * len(STATES)
    for states in _states_by_job(keys):
        best = min((STATES.index(s) for s in states if s in STATES), default=None)
        if best is not None:
            totals[best] += 1
    return totals


def _states_by_job(keys: Iterable[str]) -> Iterator[list[str]]:
    names = (key.rsplit("/", 1)[-1].split(".") for key in keys)
    for _, group in groupby((name for name in names if len(name) == 3), key=lambda n: n[0]):
        yield [name[1] for name in group]


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
    sizes = [part_sizes(key) for key in parts(s3, run)]
    totals, minutes = [0] * len(STATES), Counter[str]()
    for states, some in over_records(s3, run, _tally):
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
