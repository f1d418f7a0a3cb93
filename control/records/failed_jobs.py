"""Failed jobs: failed for good, or waiting for their next attempt."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from botocore.exceptions import ClientError

from control.aws.s3 import list_keys
from control.aws.session import CONNECTIONS
from control.explain import aws_errors
from control.user_files.job import ID_DIGITS, Job

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.model import Run

K = TypeVar("K")

T = TypeVar("T")

_GONE_OR_NEW = ("PreconditionFailed", "412", "NoSuchKey", "404")

_HEX = "0123456789abcdef"

# Read at the same time; so many at once, so that Ctrl-C need not wait for all of them.
_AT_ONCE = 16 * CONNECTIONS


class Failed(NamedTuple):
    """The ids of jobs that failed; `trying` with submission and receive of the last attempt."""

    given_up: list[str]
    trying: dict[str, tuple[int, int]]


class Read(NamedTuple):
    """A record or an attempt, and the ETag that it had."""

    record: dict[str, Any]
    etag: str


def record_key(run: Run, job_id: str) -> str:
    """Where the failed record of a job lies."""
    return f"{run.prefix}records/{job_id}.failed.json"


def attempt_key(run: Run, job_id: str, submission: int, receive: int) -> str:
    """Where a failed attempt of a job lies."""
    return f"{run.prefix}attempts/{job_id}.{submission}.{receive}.failed.json"


def find(s3: S3Client, run: Run) -> Failed:
    """Which jobs are given up, and which have failed and no record yet: from listings only."""
    tried: dict[str, tuple[int, int]] = {}
    for some in _over(s3, run, "attempts/", _last_failed):
        tried.update(some)
    given_up: list[str] = []
    for failed, finished in _over(s3, run, "records/", lambda keys: _sorted_out(keys, tried)):
        given_up += failed
        for job_id in (*failed, *finished):
            tried.pop(job_id, None)
    return Failed(given_up, tried)


def _last_failed(keys: Iterable[str]) -> dict[str, tuple[int, int]]:
    """The last failed attempt of each job that has one."""
    last: dict[str, tuple[int, int]] = {}
    for key in keys:
        words = key.rsplit("/", 1)[-1].split(".")
        if len(words) == 5 and words[3] == "failed" and words[1].isdigit() and words[2].isdigit():
            number = int(words[1]), int(words[2])
            last[words[0]] = max(last.get(words[0], (0, 0)), number)
    return last


def _sorted_out(
    keys: Iterable[str], tried: Mapping[str, tuple[int, int]]
) -> tuple[list[str], list[str]]:
    """The jobs given up, and those of `tried` that are done or skipped."""
    given_up, finished = [], []
    names = (key.rsplit("/", 1)[-1].split(".") for key in keys)
    for job_id, group in groupby((n for n in names if len(n) == 3), key=lambda n: n[0]):
        states = {name[1] for name in group}
        # done beats skipped beats failed.
        if states & {"done", "skipped"}:
            if job_id in tried:
                finished.append(job_id)
        elif "failed" in states:
            given_up.append(job_id)
    return given_up, finished


def _over(s3: S3Client, run: Run, folder: str, what: Callable[[Iterable[str]], T]) -> list[T]:
    """`what` of the keys of a folder, in 16 lists at the same time; a job is in one of them."""
    prefixes = [f"{run.prefix}{folder}{digit}" for digit in _HEX]
    return list(over_many(lambda one: what(list_keys(s3, run.bucket, one)), prefixes))


def read(
    s3: S3Client, run: Run, keys: Sequence[str], advance: Callable[[int], object]
) -> Iterator[Read]:
    """What lies at these keys, in their order, without what is gone by now."""

    def get(key: str) -> Read | None:
        try:
            answer = s3.get_object(Bucket=run.bucket, Key=key)
        except s3.exceptions.NoSuchKey:
            return None
        return Read(json.loads(answer["Body"].read()), answer["ETag"])

    for found in over_many(get, keys):
        advance(1)
        if found is not None:
            yield found


def over_many(what: Callable[[K], T], of: Sequence[K]) -> Iterator[T]:
    """`what` of each, in their order, many at the same time."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for start in range(0, len(of), _AT_ONCE):
            yield from pool.map(what, of[start : start + _AT_ONCE])


def etags(s3: S3Client, run: Run) -> dict[int, str]:
    """The ETags of the failed records of the jobs that are given up, by the job's id."""
    keys = [record_key(run, job_id) for job_id in find(s3, run).given_up]
    return {int(one.record["job_id"], 16): one.etag for one in read(s3, run, keys, lambda _: None)}


class Retiring:
    """Removes the failed records of jobs that were sent again: they are no longer given up.

    `etags` are those of the records as they were before, by the job's id. One that a worker has
    written since then stays: the job was given up again (S3 guide: conditional deletes).
    """

    def __init__(self, etags: Mapping[int, str]) -> None:
        self._etags = etags
        self._due: list[int] = []

    def sent(self, batch: Iterable[tuple[Job, int]]) -> None:
        """These jobs were sent."""
        self._due += [job_id for job, _ in batch if (job_id := int(job.id, 16)) in self._etags]

    def finish(self, s3: S3Client, run: Run) -> None:
        """Remove them. To be called when the submission is on S3, so that a break is noticed."""

        def remove(job_id: int) -> None:
            key = record_key(run, f"{job_id:0{ID_DIGITS}x}")
            try:
                s3.delete_object(Bucket=run.bucket, Key=key, IfMatch=self._etags[job_id])
            except ClientError as error:
                if aws_errors.code_of(error) not in _GONE_OR_NEW:
                    raise

        for _ in over_many(remove, self._due):
            continue
