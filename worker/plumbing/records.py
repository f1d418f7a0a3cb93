"""Contract 3: what is true about jobs, as the worker writes it to S3."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Callable, Iterable, Mapping

from botocore.exceptions import ClientError

from plumbing import listing
from plumbing.aws_clients import code_of, status_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FAILED = "failed"
SUBMISSION = "submission"
# Nobody was left to say which.
SILENT_CAUSES = "the machine was lost, its memory was full, or it was cut off from AWS"
_ATTEMPT = re.compile(r"\.(\d+)\.(failed|interrupted)\.json$")


@dataclass(frozen=True)
class Keys:
    """The keys of one receive of one job in AWS_BUCKET."""

    app_name: str
    run_id: str
    job_id: str
    submission: int
    receive: int

    @property
    def name(self) -> str:
        """As people call this attempt, and its files."""
        return f"{self.submission}.{self.receive}"

    @property
    def run(self) -> str:
        return f"runs/{self.app_name}/{self.run_id}/"

    @property
    def attempts(self) -> str:
        """What all attempts of this submission start with."""
        return f"{self.run}attempts/{self.job_id}.{self.submission}."

    def attempt(self, state: str, receive: int | None = None) -> str:
        return f"{self.attempts}{self.receive if receive is None else receive}.{state}.json"

    def record(self, state: str) -> str:
        return f"{self.run}records/{self.job_id}.{state}.json"

    @property
    def log(self) -> str:
        return f"{self.run}logs/{self.job_id}.{self.name}.txt"


@dataclass(frozen=True)
class Past:
    """How the earlier receives of this submission ended, by their numbers."""

    failed: list[int]
    interrupted: list[int]
    silent: list[int]

    @property
    def counted(self) -> int:
        """Those that count towards JOB_RETRIES."""
        return len(self.failed) + len(self.silent)


NO_PAST = Past([], [], [])


@dataclass(frozen=True)
class Done:
    """A done record that is there already."""

    submission: int
    etag: str


def past_of(keys: Iterable[str], receive: int) -> Past:
    """The past of receive number `receive`, from the names of its attempts.

    A receive that left nothing was killed without a word: a machine that was lost, a container
    that was killed, a process that ran out of memory; or it was cut off from AWS for so long that
    it lost the job.
    """
    ends: dict[int, str] = {}
    for key in keys:
        found = _ATTEMPT.search(key)
        if found:
            ends[int(found.group(1))] = found.group(2)
    earlier = range(1, receive)
    return Past(
        failed=[n for n in earlier if ends.get(n) == "failed"],
        interrupted=[n for n in earlier if ends.get(n) == "interrupted"],
        silent=[n for n in earlier if n not in ends],
    )


def read_past(s3: S3Client, bucket: str, keys: Keys, check: Callable[[], None]) -> Past:
    """How the earlier receives ended: one listing; none for a first receive."""
    if keys.receive == 1:
        return NO_PAST
    pages = listing.pages(s3, bucket, keys.attempts, check)
    return past_of((entry["Key"] for page in pages for entry in page), keys.receive)


def reason_of(s3: S3Client, bucket: str, keys: Keys, past: Past) -> str:
    """Why a job with this past is given up: how it ended the last time, and how often silently."""
    reasons = {}
    if past.silent:
        times = "once" if len(past.silent) == 1 else f"{len(past.silent)} times"
        reasons[past.silent[-1]] = f"killed {times} without a word ({SILENT_CAUSES})"
    if past.failed:
        answer = s3.get_object(Bucket=bucket, Key=keys.attempt(FAILED, past.failed[-1]))
        reasons[past.failed[-1]] = str(json.loads(answer["Body"].read()).get("reason", ""))
    return "; before that: ".join(reasons[number] for number in sorted(reasons, reverse=True))


def find_done(s3: S3Client, bucket: str, keys: Keys) -> Done | None:
    """The job's done record, of whichever submission."""
    try:
        answer = s3.head_object(Bucket=bucket, Key=keys.record("done"))
    except ClientError as error:
        if status_of(error) == 404:
            return None
        raise
    submission = answer.get("Metadata", {}).get(SUBMISSION, "")
    # One that another program wrote holds for every submission.
    return Done(int(submission) if submission.isdigit() else 10**9, answer["ETag"])


def write(s3: S3Client, bucket: str, key: str, fields: Mapping[str, Any], **more: Any) -> None:
    """Write an attempt or a record."""
    body = json.dumps(fields, ensure_ascii=False, indent=1).encode("utf-8", "replace")
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json", **more)


def write_done(
    s3: S3Client, bucket: str, keys: Keys, fields: Mapping[str, Any], earlier: Done | None
) -> bool:
    """Write the done record unless another worker has; whether this one wrote it.

    A record of an `earlier` submission is replaced. The submission stands in the object's
    metadata too, where HEAD shows it.
    """
    condition = {"IfMatch": earlier.etag} if earlier else {"IfNoneMatch": "*"}
    try:
        write(
            s3,
            bucket,
            keys.record("done"),
            fields,
            Metadata={SUBMISSION: str(keys.submission)},
            **condition,
        )
    except ClientError as error:
        if code_of(error) in ("PreconditionFailed", "412"):
            return False
        raise
    return True


def utc(now: float) -> str:
    """A time in seconds since 1970 as ISO 8601 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(now, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
