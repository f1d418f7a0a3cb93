"""Read from S3 what a report shows."""

from __future__ import annotations

import math
import random
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from control.records import attempts, states, submissions
from control.records.job_objects import over_listing, parse_attempt, read, record_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.aws.s3 import Entry
    from control.model import Run

Record = Mapping[str, Any]
Advance = Callable[[int], object]
# The most done jobs to read: percentiles of 4,000 are good to about one percent of the jobs, and
# reading them takes about ten seconds.
SAMPLE = 4_000
# The most failed jobs to read.
MOST_FAILED = 10_000
# The most attempts to read that failed or were interrupted.
_SAMPLE_OF_ATTEMPTS = 500


@dataclass(frozen=True)
class Limits:
    """The most records to read of each sort."""

    done: int = SAMPLE
    failed: int = MOST_FAILED
    attempts: int = _SAMPLE_OF_ATTEMPTS


@dataclass
class Reading:
    """All that was read about a run.

    `times` are when the records of each state were written (seconds since 1970), one number a job;
    `causes` counts the failed jobs by cause. `attempts` counts those that failed and were
    interrupted. `done`, `failed` and `lost` are records and attempts, without their logs; objects
    that are no records are only counted.
    """

    submitted: int = 0
    times: dict[str, array[float]] = field(default_factory=dict)
    causes: Counter[str] = field(default_factory=Counter)
    attempts: Counter[str] = field(default_factory=Counter)
    log_bytes: float = 0.0
    done: list[Record] = field(default_factory=list)
    failed: list[Record] = field(default_factory=list)
    lost: list[Record] = field(default_factory=list)
    unreadable: int = 0

    def count(self, state: str) -> int:
        return len(self.times.get(state, ()))


def read_run(
    s3: S3Client, run: Run, limits: Limits | None = None, advance: Advance = lambda some: None
) -> Reading:
    """Read a run, at any time of its life. `advance` is called with 1 for every record read."""
    limits = limits or Limits()
    some = random.Random(run.run_id)  # the same sample each time
    found = Reading(submitted=submissions.count(s3, run))
    jobs = states.by_state(s3, run)
    found.times = {state: of_state.times for state, of_state in jobs.items()}
    found.causes = Counter(jobs["failed"].causes)
    prefix = f"{run.prefix}attempts/"
    attempt_keys = [key for keys in over_listing(s3, run.bucket, prefix, _attempts) for key in keys]
    found.attempts = Counter(key.split(".")[-2] for key in attempt_keys)
    found.log_bytes = _large_logs(s3, run, found.count("done") + len(attempt_keys))

    def get(keys: Sequence[str], of: int) -> list[Record]:
        records: list[Record] = []
        for one in read(s3, run, keys, advance):
            found.log_bytes += attempts.log_size(one.record) * of / len(keys)
            found.unreadable += not one.record
            one.record.pop("log", None)
            if one.record:
                records.append(one.record)
        return records

    done, failed = jobs["done"].ids, jobs["failed"]
    chosen = done if len(done) <= limits.done else some.sample(done, limits.done)
    found.done = get([_key(run, job, "done", "") for job in sorted(chosen)], len(done))
    both = list(zip(failed.ids, failed.causes, strict=True))
    pairs = both if len(both) <= limits.failed else some.sample(both, limits.failed)
    found.failed = get([_key(run, job, "failed", cause) for job, cause in sorted(pairs)], len(both))
    lost = some.sample(attempt_keys, min(limits.attempts, len(attempt_keys)))
    found.lost = get(lost, len(attempt_keys))
    return found


def _key(run: Run, job: int, state: str, cause: str) -> str:
    return record_key(run, f"{job:016x}", state, cause)


def _attempts(entries: Iterable[Entry]) -> list[str]:
    return [entry.key for entry in entries if parse_attempt(entry.key)]


def _large_logs(s3: S3Client, run: Run, about: int) -> float:
    """Return the bytes of the logs that are objects; those of small ones are in their records.

    Of many, from one in sixteen: ids are hashes, hence a fair sample.
    """
    prefix, share = (f"{run.prefix}logs/0", 16) if about > 16_000 else (f"{run.prefix}logs/", 1)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=run.bucket, Prefix=prefix)
    return float(share * sum(e["Size"] for page in pages for e in page.get("Contents", [])))


def number(record: Record, name: str) -> float:
    """Return a number of a record; 0 if it is none: other programs may have written records."""
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0.0
    return max(0.0, float(value))


def text(record: Record, name: str) -> str:
    """Return a text of a record; "" if it is none."""
    value = record.get(name)
    return value if isinstance(value, str) else ""
