"""Jobs by state, counted and listed, from key names alone."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from control.model import STATES, JobCounts, Run, run_prefix
from control.records import store, submissions
from control.records.job_objects import over_listing, parse_record

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.aws.s3 import Entry

T = TypeVar("T")
_RANKS = {state: rank for rank, state in enumerate(STATES)}
WITH_OUTPUTS = ("done", "skipped")
# The part of a listing's time, '2026-01-31T12:30:00.000Z', that names the minute.
_TO_THE_MINUTE = 16


class Ended(NamedTuple):
    """A record of a job: the state, the cause if it failed, and when S3 wrote it."""

    job_id: str
    state: str
    cause: str
    written: str


@dataclass(frozen=True)
class Tally:
    """The counts of a run, its failed jobs by cause, and how many jobs ended in each minute.

    Minutes are in seconds since 1970.
    """

    counts: JobCounts
    causes: Mapping[str, int]
    finished: Mapping[int, int]


@dataclass
class Jobs:
    """Jobs of one state in the order of their ids, which are numbers here.

    `times` are when their records were written, in seconds since 1970; `causes` why they failed.
    """

    ids: array[int] = field(default_factory=lambda: array("Q"))
    times: array[float] = field(default_factory=lambda: array("d"))
    causes: list[str] = field(default_factory=list)


def count(s3: S3Client, run: Run) -> JobCounts:
    """Return how many jobs are in which state. Read listings only."""
    return tally(s3, run).counts


def tally(s3: S3Client, run: Run) -> Tally:
    """Count a run's jobs by state, cause and minute.

    Needs one request for 1,000 jobs, and no memory that grows with their number.
    """
    jobs, causes, minutes = Counter[str](), Counter[str](), Counter[str]()
    for some in over_jobs(s3, run.bucket, run.prefix, _tally):
        for total, part in zip((jobs, causes, minutes), some, strict=True):
            total.update(part)
    counts = JobCounts(
        submitted=submissions.count(s3, run), **{state: jobs[state] for state in STATES}
    )
    return Tally(counts, causes, {int(written_seconds(f"{at}Z")): n for at, n in minutes.items()})


def _tally(jobs: Iterable[list[Ended]]) -> tuple[Counter[str], Counter[str], Counter[str]]:
    states, causes, minutes = Counter[str](), Counter[str](), Counter[str]()
    for best, *_ in jobs:
        states[best.state] += 1
        minutes[best.written[:_TO_THE_MINUTE]] += 1
        if best.cause:
            causes[best.cause] += 1
    return states, causes, minutes


def by_state(s3: S3Client, run: Run) -> dict[str, Jobs]:
    """Return the jobs that have a record, by state: 16 bytes a job, and a word if it failed."""

    def sort(jobs: Iterable[list[Ended]]) -> dict[str, Jobs]:
        found = {state: Jobs() for state in STATES}
        for best, *_ in jobs:
            of_state = found[best.state]
            of_state.ids.append(int(best.job_id, 16))
            of_state.times.append(written_seconds(best.written))
            if best.cause:
                of_state.causes.append(best.cause)
        return found

    whole = {state: Jobs() for state in STATES}
    for part in over_jobs(s3, run.bucket, run.prefix, sort):
        for state, jobs in part.items():
            whole[state].ids.extend(jobs.ids)
            whole[state].times.extend(jobs.times)
            whole[state].causes.extend(jobs.causes)
    return whole


def recorded(s3: S3Client, run: Run) -> submissions.Ids:
    """Return the jobs that have a record, in whichever state."""
    return submissions.Ids(_ids(s3, run.bucket, run.prefix, STATES))


def finished_ids(s3: S3Client, bucket: str, app_name: str) -> Iterator[int]:
    """Yield the ids of the jobs that any run of this app has done or skipped, as numbers."""
    for run_id in store.run_ids(s3, bucket, app_name):
        yield from _ids(s3, bucket, run_prefix(app_name, run_id), WITH_OUTPUTS)


def _ids(s3: S3Client, bucket: str, prefix: str, states: tuple[str, ...]) -> Iterator[int]:
    def numbers(jobs: Iterable[list[Ended]]) -> array[int]:
        return array("Q", (int(best.job_id, 16) for best, *_ in jobs if best.state in states))

    for some in over_jobs(s3, bucket, prefix, numbers):
        yield from some


def over_jobs(
    s3: S3Client, bucket: str, prefix: str, what: Callable[[Iterable[list[Ended]]], T]
) -> list[T]:
    """Return `what` of the jobs of a run that have records: see `by_job`, and `over_listing`."""
    return over_listing(s3, bucket, f"{prefix}records/", lambda entries: what(by_job(entries)))


def by_job(entries: Iterable[Entry]) -> Iterator[list[Ended]]:
    """Yield the records of each job from entries in the order of keys, the one that counts first.

    done beats skipped beats cancelled beats failed; of several failed ones the newest counts.
    """
    for _, group in groupby(_records(entries), key=lambda record: record.job_id):
        records = list(group)
        if len(records) > 1:
            records.sort(key=lambda record: record.written, reverse=True)
            records.sort(key=lambda record: _RANKS[record.state])
        yield records


def _records(entries: Iterable[Entry]) -> Iterator[Ended]:
    for key, written in entries:
        named = parse_record(key)
        if named is not None:
            yield Ended(*named, written)


def written_seconds(written: str) -> float:
    """Return the seconds since 1970 of a time as listings have it."""
    return datetime.fromisoformat(written.replace("Z", "+00:00")).timestamp()
