"""Failed jobs: failed for good, or waiting for their next attempt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import ClientError

from control.explain import aws_errors
from control.records.job_objects import (
    AttemptKey,
    Read,
    attempt_key,
    in_parallel,
    over_listing,
    parse_attempt,
    read,
    record_key,
)
from control.records.states import Ended, over_jobs

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.aws.s3 import Entry
    from control.model import Run
    from control.user_files.job import Job

_GONE_OR_NEW = ("PreconditionFailed", "412", "NoSuchKey", "404")


class Failed(NamedTuple):
    """Keys of what failed jobs left.

    `for_good`: the record of each job that failed for good. `older`: further failed records of
    these jobs, which do not count. `retrying`: the last failed attempt of each other job that has
    failed and has no record yet.
    """

    for_good: list[str]
    older: list[str]
    retrying: list[str]


def find(s3: S3Client, run: Run) -> Failed:
    """Return what failed, from listings only."""
    last: dict[str, AttemptKey] = {}
    for some in over_listing(s3, run.bucket, f"{run.prefix}attempts/", _last_failed):
        last.update(some)
    for_good: list[str] = []
    older: list[str] = []

    def sort(jobs: Iterable[list[Ended]]) -> list[list[Ended]]:
        # A million jobs that were done at once are not worth a place in memory.
        return [records for records in jobs if _has_failed(records) or records[0].job_id in last]

    for found in over_jobs(s3, run.bucket, run.prefix, sort):
        for records in found:
            last.pop(records[0].job_id, None)
            if _has_failed(records):
                keys = [record_key(run, one.job_id, one.state, one.cause) for one in records]
                for_good.append(keys[0])
                older += keys[1:]
    return Failed(for_good, older, [attempt_key(run, one) for one in last.values()])


def _has_failed(records: list[Ended]) -> bool:
    return records[0].state == "failed"


def _last_failed(entries: Iterable[Entry]) -> dict[str, AttemptKey]:
    """Return the last failed attempt of each job that has one."""
    last: dict[str, AttemptKey] = {}
    for key, _ in entries:
        attempt = parse_attempt(key)
        if attempt is not None and attempt.state == "failed":
            known = last.get(attempt.job_id)
            last[attempt.job_id] = max(attempt, known) if known else attempt
    return last


def read_for_good(s3: S3Client, run: Run) -> list[Read]:
    """Return all records of the jobs that failed for good, also those that do not count."""
    failed = find(s3, run)
    return [one for one in read(s3, run, [*failed.for_good, *failed.older]) if one.record]


class Retiring:
    """Removes the failed records of jobs that were sent again, so that they count as unfinished.

    `records` are as they were before. One that a worker has written since then stays: the job has
    failed for good again (S3 guide: conditional deletes).
    """

    def __init__(self, records: Iterable[Read] = ()) -> None:
        self._records: defaultdict[str, list[Read]] = defaultdict(list)
        for one in records:
            self._records[one.record["job_id"]].append(one)
        self._due: list[Read] = []

    def sent(self, batch: Iterable[tuple[Job, int]]) -> None:
        """Note that these jobs were sent as these submissions; a record of one of them stays."""
        for job, submission in batch:
            records = self._records.pop(job.id, [])
            self._due += [one for one in records if one.record["submission"] < submission]

    def finish(self, s3: S3Client, run: Run) -> None:
        """Remove them. Call this when the submission is on S3, so that an interruption shows."""

        def remove(one: Read) -> None:
            try:
                s3.delete_object(Bucket=run.bucket, Key=one.key, IfMatch=one.etag)
            except ClientError as error:
                if aws_errors.code_of(error) not in _GONE_OR_NEW:
                    raise

        for _ in in_parallel(remove, self._due):
            continue
