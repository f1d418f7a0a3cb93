"""S3: what is true about a run and its jobs (contract 3)."""

from __future__ import annotations

import dataclasses
import json
import random
import re
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from control import reasons
from control.errors import ExplainedError
from control.services import listing
from control.services.listing import Entry
from control.words import several

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

_HEX = "0123456789abcdef"
_CONFLICTS = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
_MOST_CONFLICTS = 20
# done beats skipped beats failed.
STATES = ("done", "skipped", "failed")
_RECORD = re.compile(r"/([0-9a-f]{16})\.(done|skipped|failed)\.json$")
_PART = re.compile(r"-new(\d+)-again(\d+)\.jsonl\.gz$")


@dataclass(frozen=True)
class Run:
    """run.json: what a run is. All that monitor and stop need, so that neither reads config.py."""

    app_name: str
    run_id: str
    bucket: str
    region: str
    account: str
    owner: str
    settings: dict[str, Any]
    queue_url: str = ""
    dead_letter_url: str = ""
    cluster: str = ""
    service: str = ""
    task_definition: str = ""
    log_group: str = ""
    submissions: int = 0
    fleets: list[dict[str, Any]] = field(default_factory=list)
    memory: dict[str, Any] = field(default_factory=dict)
    ended: str = ""
    end_reason: str = ""
    stopped: str = ""
    schedule: str = ""
    topic_arn: str = ""
    mailed: bool = False
    machine_time: dict[str, Any] = field(default_factory=dict)
    cheapest_since: float = 0.0

    @property
    def prefix(self) -> str:
        """Everything that the system itself writes about this run lies under it."""
        return run_prefix(self.app_name, self.run_id)


@dataclass(frozen=True)
class JobCounts:
    """How many jobs are in which state, from key names alone."""

    submitted: int
    done: int
    skipped: int
    failed: int

    @property
    def finished(self) -> int:
        return self.done + self.skipped + self.failed

    def in_words(self) -> str:
        """'1 job done, 0 skipped, 2 failed'."""
        return f"{several(self.done, 'job')} done, {self.skipped:,} skipped, {self.failed:,} failed"


def utc(now: float) -> str:
    """A time in seconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(now, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str) -> float:
    """The reverse of `utc`: seconds since 1970."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").timestamp()


def new_run_id(now: float) -> str:
    """The RUN_ID of a run that is set up at `now`; they sort by time."""
    return datetime.fromtimestamp(now, timezone.utc).strftime("%Y%m%dT%H%M%SZ")


def run_prefix(app_name: str, run_id: str) -> str:
    return f"runs/{app_name}/{run_id}/"


def put_json(s3: S3Client, bucket: str, key: str, content: Any, **conditions: Any) -> str:
    """Write `content` as JSON; returns the ETag."""
    body = json.dumps(content, indent=1, ensure_ascii=False).encode()
    answer = s3.put_object(
        Bucket=bucket, Key=key, Body=body, ContentType="application/json", **conditions
    )
    return answer["ETag"]


def create(s3: S3Client, run: Run) -> Run:
    """Write the run.json of a new run; the other's if somebody made the same run just now."""
    try:
        content = dataclasses.asdict(run)
        put_json(s3, run.bucket, f"{run.prefix}run.json", content, IfNoneMatch="*")
        return run
    except ClientError as error:
        if reasons.code_of(error) not in _CONFLICTS:
            raise
        return load(s3, run.bucket, run.app_name, run.run_id)


def load(s3: S3Client, bucket: str, app_name: str, run_id: str) -> Run:
    """Read a run.json."""
    return _get(s3, bucket, f"{run_prefix(app_name, run_id)}run.json")[0]


def current(s3: S3Client, bucket: str, app_name: str) -> Run | None:
    """The newest run of this app, ended or not; None if there was none yet."""
    for run_id in sorted(run_ids(s3, bucket, app_name), reverse=True):
        try:
            return load(s3, bucket, app_name, run_id)
        except s3.exceptions.NoSuchKey:
            continue  # somebody tidied a part of an old run away
    return None


def run_ids(s3: S3Client, bucket: str, app_name: str) -> list[str]:
    """The RUN_IDs of all runs of an app, the oldest first."""
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=f"runs/{app_name}/", Delimiter="/"
    )
    return [
        entry["Prefix"].split("/")[-2] for page in pages for entry in page.get("CommonPrefixes", [])
    ]


class NoRun(ExplainedError):
    """Nothing was set up under this APP_NAME and bucket."""


def latest(s3: S3Client, bucket: str, app_name: str) -> Run:
    """The newest run, ended or not. Raises NoRun if none was set up."""
    run = current(s3, bucket, app_name)
    if run is None or not (run.ended or run.queue_url):
        raise NoRun(f"{app_name} has not been set up.", "Run: python run.py setup")
    return run


def live(s3: S3Client, bucket: str, app_name: str) -> Run:
    """The run that is set up now. Raises ExplainedError if there is none."""
    run = latest(s3, bucket, app_name)
    if run.ended:
        raise ExplainedError(
            f"{app_name} has ended.",
            "Run: python run.py setup; then python run.py submitJob JOBFILE --missing sends those "
            "jobs that no run has done.",
        )
    return run


def change(
    s3: S3Client,
    run: Run,
    how: Callable[[Run], Run],
    wait: Callable[[float], object] = time.sleep,
) -> Run:
    """Apply `how` to the run.json as it is now, whoever else writes it at the same time.

    Returns the run as written. `how` may be called more than once.
    """
    key = f"{run.prefix}run.json"
    for _ in range(_MOST_CONFLICTS):
        now, etag = _get(s3, run.bucket, key)
        wanted = how(now)
        if wanted == now:
            return now
        try:
            put_json(s3, run.bucket, key, dataclasses.asdict(wanted), IfMatch=etag)
            return wanted
        except ClientError as error:
            if reasons.code_of(error) not in _CONFLICTS:
                raise
        wait(random.uniform(0.05, 0.5))
    raise ExplainedError(
        f"s3://{run.bucket}/{key} is being changed by others all the time.",
        "See who else works on this run (two monitors?), then run the same command again.",
    )


def _get(s3: S3Client, bucket: str, key: str) -> tuple[Run, str]:
    answer = s3.get_object(Bucket=bucket, Key=key)
    content = json.loads(answer["Body"].read())
    known = {f.name for f in dataclasses.fields(Run)}
    return Run(**{k: v for k, v in content.items() if k in known}), answer["ETag"]


def list_keys(s3: S3Client, bucket: str, prefix: str) -> Iterator[str]:
    """The keys under a prefix, in order, a page of 1,000 at a time."""
    return (entry.key for entry in listing.entries(s3, bucket, prefix))


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

    for run_id in run_ids(s3, bucket, app_name):
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
    first, more = next(listing.pages(s3, bucket, prefix))
    if not more:
        return [what(first)]

    def one(digit: str) -> T:
        return what(listing.entries(s3, bucket, prefix + digit))

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
