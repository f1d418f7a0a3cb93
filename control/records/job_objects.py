"""Objects that workers write about jobs: their keys, listed and read in parallel (contract 3)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from control.aws.s3 import Entry, list_entries, list_pages
from control.aws.session import CONNECTIONS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.model import Run

K = TypeVar("K")
T = TypeVar("T")
_HEX = "0123456789abcdef"
_RECORD = re.compile(r"([0-9a-f]{16})\.(?:(done|skipped|cancelled)|(\w+)\.(failed))\.json")
_ATTEMPT = re.compile(
    r"(?:.*/)?attempts/([0-9a-f]{16})\.(\d+)\.(\d+)\.(?:(\w+)\.(failed)|(interrupted))\.json"
)
_LOG = re.compile(r"([0-9a-f]{16})\.(\d+)\.(\d+)\.txt")
# Keys in flight at once, so that Ctrl-C need not wait for all of them.
_AT_ONCE = 16 * CONNECTIONS


class RecordKey(NamedTuple):
    """The parts of a record's key; `cause` is "" unless the job failed."""

    job_id: str
    state: str
    cause: str


class AttemptKey(NamedTuple):
    """The parts of an attempt's or a log's key; `state` is "" for a log."""

    job_id: str
    submission: int
    receive: int
    state: str
    cause: str


class Read(NamedTuple):
    """A record or an attempt with its ETag; `record` is empty if it is not a JSON object."""

    key: str
    record: dict[str, Any]
    etag: str


def record_key(run: Run, job_id: str, state: str, cause: str = "") -> str:
    """Return the key of a record."""
    return f"{run.prefix}records/{job_id}.{_with_cause(state, cause)}.json"


def attempt_key(run: Run, attempt: AttemptKey) -> str:
    """Return the key of an attempt."""
    name = f"{attempt.job_id}.{attempt.submission}.{attempt.receive}"
    return f"{run.prefix}attempts/{name}.{_with_cause(attempt.state, attempt.cause)}.json"


def _with_cause(state: str, cause: str) -> str:
    return f"{cause}.{state}" if cause else state


def parse_record(key: str) -> RecordKey | None:
    """Return the parts of a record's key; None if it is not one."""
    found = _RECORD.fullmatch(key.rsplit("/", 1)[-1])
    return RecordKey(found[1], found[2] or found[4], found[3] or "") if found else None


def parse_attempt(key: str) -> AttemptKey | None:
    """Return the parts of an attempt's key; None if it is not one."""
    found = _ATTEMPT.fullmatch(key)
    if not found:
        return None
    job_id, submission, receive, cause, failed, interrupted = found.groups()
    return AttemptKey(job_id, int(submission), int(receive), failed or interrupted, cause or "")


def parse_log(key: str) -> AttemptKey | None:
    """Return the parts of a log's key; None if it is not one."""
    found = _LOG.fullmatch(key.rsplit("/", 1)[-1])
    return AttemptKey(found[1], int(found[2]), int(found[3]), "", "") if found else None


def log_file(key: str) -> str:
    """Return the key that the log in an attempt has if it is an object of its own.

    That is where `local` writes it. Other keys are returned as they are.
    """
    attempt = parse_attempt(key)
    if attempt is None:
        return key
    run = key.rsplit("/", 2)[0]
    return f"{run}/logs/{attempt.job_id}.{attempt.submission}.{attempt.receive}.txt"


def over_listing(
    s3: S3Client, bucket: str, prefix: str, what: Callable[[Iterable[Entry]], T]
) -> list[T]:
    """Return `what` of the entries of a folder, in the order of keys.

    More than 1,000 are read in 16 lists at once, by the first digit of the job's id: all entries
    of one job are in one list.
    """
    first, more = next(list_pages(s3, bucket, prefix))
    if not more:
        return [what(first)]
    with ThreadPoolExecutor(len(_HEX)) as pool:
        return list(pool.map(lambda digit: what(list_entries(s3, bucket, prefix + digit)), _HEX))


def read(
    s3: S3Client, run: Run, keys: Sequence[str], advance: Callable[[int], object] = lambda _: None
) -> Iterator[Read]:
    """Yield the objects at these keys in their order, without those that no longer exist.

    `advance` is called with 1 for each.
    """

    def get(key: str) -> Read | None:
        try:
            answer = s3.get_object(Bucket=run.bucket, Key=key)
        except s3.exceptions.NoSuchKey:
            return None
        try:
            record = json.loads(answer["Body"].read())
        except ValueError:
            record = {}
        return Read(key, record if isinstance(record, dict) else {}, answer["ETag"])

    for found in in_parallel(get, keys):
        advance(1)
        if found is not None:
            yield found


def in_parallel(what: Callable[[K], T], of: Sequence[K], at_once: int = _AT_ONCE) -> Iterator[T]:
    """Yield `what` of each in their order, many at the same time; keep at most `at_once`."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for start in range(0, len(of), at_once):
            yield from pool.map(what, of[start : start + at_once])
