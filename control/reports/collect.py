"""Read from S3 what a report shows."""

from __future__ import annotations

import json
import math
import random
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from control.aws.s3 import list_entries, list_pages
from control.model import STATES
from control.records import states
from control.records.failed_jobs import over_many

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.aws.s3 import Entry
    from control.model import Run

T = TypeVar("T")

Record = Mapping[str, Any]

Advance = Callable[[int], object]

# Of finished jobs so many are read: percentiles of 4,000 are good to about one percent of the jobs,
# and reading them takes some ten seconds.
SAMPLE = 4_000

# Of failed jobs all are read, up to so many.
MOST_FAILED = 10_000

# Of attempts that failed or were interrupted.
_SAMPLE_OF_ATTEMPTS = 500

_HEX = "0123456789abcdef"


@dataclass(frozen=True)
class Limits:
    """How many records are read of each sort."""

    done: int = SAMPLE
    failed: int = MOST_FAILED
    attempts: int = _SAMPLE_OF_ATTEMPTS


@dataclass
class Reading:
    """What was read of a run.

    `times` are when the records of each state were written (seconds since 1970): one number a job,
    done before skipped before failed. `attempts` counts those that failed and were interrupted.
    `done`, `failed` and `lost` are records and attempts; what was no record is only counted.
    """

    submitted: int = 0
    times: dict[str, array[float]] = field(default_factory=dict)
    attempts: Counter[str] = field(default_factory=Counter)
    log_bytes: float = 0.0
    done: list[Record] = field(default_factory=list)
    failed: list[Record] = field(default_factory=list)
    lost: list[Record] = field(default_factory=list)
    unreadable: int = 0

    def count(self, state: str) -> int:
        return len(self.times.get(state, ()))


@dataclass
class _Listed:
    """Jobs of each state by id and time, in the order of their ids."""

    ids: dict[str, array[int]]
    times: dict[str, array[float]]


def read_run(
    s3: S3Client, run: Run, limits: Limits | None = None, advance: Advance = lambda some: None
) -> Reading:
    """Read a run, at any time of its life. `advance` hears of every record that was read."""
    limits = limits or Limits()
    some = random.Random(run.run_id)  # the same sample each time
    found = Reading(submitted=sum(states.part_sizes(key)[0] for key in states.parts(s3, run)))
    listed = _over(s3, run, "records/", _by_state)
    found.times = {s: _joined(one.times[s] for one in listed) for s in STATES}
    attempts = [key for keys in _over(s3, run, "attempts/", _attempts) for key in keys]
    found.attempts = Counter(key.split(".")[-2] for key in attempts)
    found.log_bytes = _log_bytes(s3, run, found.count("done") + len(attempts))

    def get(keys: Sequence[str]) -> list[Record]:
        records_read, bad = _get(s3, run, keys, advance)
        found.unreadable += bad
        return records_read

    def keys(state: str, most: int) -> list[str]:
        ids = [job for one in listed for job in one.ids[state]]
        chosen = ids if len(ids) <= most else some.sample(ids, most)
        return [f"{run.prefix}records/{job:016x}.{state}.json" for job in sorted(chosen)]

    found.done = get(keys("done", limits.done))
    found.failed = get(keys("failed", limits.failed))
    found.lost = get(some.sample(attempts, min(limits.attempts, len(attempts))))
    return found


def _over(s3: S3Client, run: Run, folder: str, what: Callable[[Iterable[Entry]], T]) -> list[T]:
    """`what` of a folder's entries; over 1,000 are read in 16 lists at the same time."""
    prefix = f"{run.prefix}{folder}"
    first, more = next(list_pages(s3, run.bucket, prefix))
    if not more:
        return [what(first)]
    with ThreadPoolExecutor(len(_HEX)) as pool:
        each = pool.map(lambda d: what(list_entries(s3, run.bucket, prefix + d)), _HEX)
        return list(each)


def _by_state(entries: Iterable[Entry]) -> _Listed:
    found = _Listed(
        {state: array("Q") for state in STATES},
        {state: array("d") for state in STATES},
    )
    named = ((entry.key.rsplit("/", 1)[-1].split("."), entry.written) for entry in entries)
    ours = ((n, at) for n, at in named if len(n) == 3 and n[1] in STATES and _is_id(n[0]))
    for job_id, group in groupby(ours, key=lambda pair: pair[0][0]):
        by_state = {name[1]: written for name, written in group}
        state = next(one for one in STATES if one in by_state)
        found.ids[state].append(int(job_id, 16))
        found.times[state].append(_seconds(by_state[state]))
    return found


def _seconds(written: str) -> float:
    """Seconds since 1970 of a time as listings have it."""
    return datetime.fromisoformat(written.replace("Z", "+00:00")).timestamp()


def _is_id(text: str) -> bool:
    return len(text) == 16 and not set(text) - set(_HEX)


def _attempts(entries: Iterable[Entry]) -> list[str]:
    ends = (".failed.json", ".interrupted.json")
    return [entry.key for entry in entries if entry.key.endswith(ends)]


def _joined(parts: Iterator[array[float]]) -> array[float]:
    whole = array("d")
    for part in parts:
        whole.extend(part)
    return whole


def _log_bytes(s3: S3Client, run: Run, about: int) -> float:
    """How long all logs are; of many, from one in sixteen: ids are hashes, hence a fair sample."""
    prefix, share = (f"{run.prefix}logs/0", 16) if about > 16_000 else (f"{run.prefix}logs/", 1)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=run.bucket, Prefix=prefix)
    return float(share * sum(e["Size"] for page in pages for e in page.get("Contents", [])))


def _get(s3: S3Client, run: Run, keys: Sequence[str], advance: Advance) -> tuple[list[Record], int]:
    """The records at these keys, and how many were none; what is gone by now is left out."""

    def one(key: str) -> Record | None:
        try:
            body = s3.get_object(Bucket=run.bucket, Key=key)["Body"].read()
        except s3.exceptions.NoSuchKey:
            return {}
        try:
            content = json.loads(body)
        except ValueError:
            return None
        return content if isinstance(content, dict) else None

    found: list[Record] = []
    bad = 0
    for content in over_many(one, keys):
        advance(1)
        bad += content is None
        if content:
            found.append(content)
    return found, bad


def number(record: Record, name: str) -> float:
    """A number of a record; 0 if it is none: records may have been written by other programs."""
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0.0
    return max(0.0, float(value))


def text(record: Record, name: str) -> str:
    """A text of a record; "" if it is none."""
    value = record.get(name)
    return value if isinstance(value, str) else ""
