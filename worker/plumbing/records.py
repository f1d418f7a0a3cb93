"""Contract 3: the attempts and records of jobs on S3, their keys and their fields."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Callable, Iterable, Mapping

from botocore.exceptions import ClientError

from plumbing.aws_clients import code_of, status_of
from plumbing.retrying import list_pages

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from plumbing.machine import Identity
    from plumbing.outcome import Outcome

FAILED = "failed"
SUBMISSION = "submission"
# In characters.
LONGEST_REASON = 2000
# No process was left to report which.
SILENT_CAUSES = "the machine was lost, its memory was full, or it was cut off from AWS"
_ATTEMPT = re.compile(r"\.(\d+)\.(?:(\w+)\.failed|interrupted)\.json$")


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
        """Return the name of this attempt for people and files."""
        return f"{self.submission}.{self.receive}"

    @property
    def run(self) -> str:
        return f"runs/{self.app_name}/{self.run_id}/"

    @property
    def attempts(self) -> str:
        """Return the prefix of all attempts of this submission."""
        return f"{self.run}attempts/{self.job_id}.{self.submission}."

    def attempt(self, state: str, cause: str) -> str:
        return f"{self.attempts}{self.receive}.{_with_cause(state, cause)}.json"

    def record(self, state: str, cause: str = "") -> str:
        return f"{self.run}records/{self.job_id}.{_with_cause(state, cause)}.json"

    @property
    def log(self) -> str:
        return f"{self.run}logs/{self.job_id}.{self.name}.txt"


def _with_cause(state: str, cause: str) -> str:
    return f"{cause}.{state}" if state == FAILED else state


@dataclass(frozen=True)
class Past:
    """The ends of the earlier receives of this submission, by number; `failed` has the causes."""

    failed: Mapping[int, str]
    interrupted: list[int]
    silent: list[int]

    @property
    def counted(self) -> int:
        """Return how many count toward JOB_RETRIES."""
        return len(self.failed) + len(self.silent)


NO_PAST = Past({}, [], [])


@dataclass(frozen=True)
class Done:
    """A done record that exists already."""

    submission: int
    etag: str


def past_of(keys: Iterable[str], receive: int) -> Past:
    """Return the past of receive number `receive` from the keys of its attempts.

    A receive that left nothing ended silently: its machine was lost, its container was killed, its
    process ran out of memory, or it was cut off from AWS until it lost the job.
    """
    # None: interrupted.
    causes: dict[int, str | None] = {}
    for key in keys:
        found = _ATTEMPT.search(key)
        if found:
            causes[int(found[1])] = found[2]
    earlier = range(1, receive)
    return Past(
        failed={n: cause for n, cause in sorted(causes.items()) if cause and n < receive},
        interrupted=[n for n in earlier if n in causes and not causes[n]],
        silent=[n for n in earlier if n not in causes],
    )


def read_past(s3: S3Client, bucket: str, keys: Keys, check: Callable[[], None]) -> Past:
    """Return how the earlier receives ended, by one listing; none for a first receive."""
    if keys.receive == 1:
        return NO_PAST
    pages = list_pages(s3, bucket, keys.attempts, check)
    return past_of((entry["Key"] for page in pages for entry in page), keys.receive)


def last_attempt(s3: S3Client, bucket: str, keys: Keys, past: Past) -> tuple[str, str, str]:
    """Return reason, cause and log_key of a job whose attempts are used up.

    The reason has the silent deaths and the last failure, the latter's log is the last there is.
    """
    reasons, log_key = {}, ""
    if past.silent:
        times = "once" if len(past.silent) == 1 else f"{len(past.silent)} times"
        reasons[past.silent[-1]] = f"ended silently {times} ({SILENT_CAUSES})"
    if past.failed:
        number, cause = max(past.failed.items())
        key = dataclasses.replace(keys, receive=number).attempt(FAILED, cause)
        answer = s3.get_object(Bucket=bucket, Key=key)
        attempt = json.loads(answer["Body"].read())
        reasons[number], log_key = str(attempt.get("reason", "")), attempt.get("log_key", "")
    reason = "; before that: ".join(reasons[number] for number in sorted(reasons, reverse=True))
    return reason, past.failed.get(max(reasons), "killed"), log_key


def find_done(s3: S3Client, bucket: str, keys: Keys) -> Done | None:
    """Return the job's done record, of any submission."""
    try:
        answer = s3.head_object(Bucket=bucket, Key=keys.record("done"))
    except ClientError as error:
        if status_of(error) == 404:
            return None
        raise
    submission = answer.get("Metadata", {}).get(SUBMISSION, "")
    # One that another program wrote is good for every submission.
    return Done(int(submission) if submission.isdigit() else 10**9, answer["ETag"])


def write(s3: S3Client, bucket: str, key: str, fields: Mapping[str, Any], **more: Any) -> None:
    """Write an attempt or a record."""
    body = json.dumps(fields, ensure_ascii=False, indent=1).encode("utf-8", "replace")
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json", **more)


def write_done(
    s3: S3Client, bucket: str, keys: Keys, fields: Mapping[str, Any], earlier: Done | None
) -> bool:
    """Write the done record unless another worker has; return whether this one wrote it.

    A record of an `earlier` submission is replaced. The submission is in the object's metadata
    too, where HEAD shows it.
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
    """Return a time in seconds since 1970 as ISO 8601 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(now, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


@dataclass
class Report:
    """The fields of a receive that become known on the way; `started` in seconds since 1970.

    Sizes in MB of 10^6 bytes.
    """

    started: float
    identity: Identity
    download_seconds: float = 0.0
    upload_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_mb: float = 0.0
    peak_disk_mb: float = 0.0
    output_prefix: str = ""
    output_files: int = 0
    output_bytes: int = 0
    last_lines: list[str] = field(default_factory=list)
    log_key: str = ""
    log: str = ""

    def fields(
        self, keys: Keys, name: str, outcome: Outcome, past: Past, allowed: int
    ) -> dict[str, Any]:
        """Return all fields of contract 3 but `state`, as of now."""
        ended = time.time()
        found = {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in vars(self).items()
            if name not in ("started", "identity")
        }
        machine, machine_type = self.identity.id, self.identity.type
        has_run = past.counted < allowed
        if not has_run:
            # This receive found no attempts left. The last one was on another machine, now unknown.
            machine = machine_type = ""
            keys = dataclasses.replace(keys, receive=max([*past.failed, *past.silent]))
        return {
            "job_id": keys.job_id,
            "job_name": name,
            "run_id": keys.run_id,
            "submission": keys.submission,
            "receive": keys.receive,
            "attempt": past.counted + has_run,
            "attempts_allowed": allowed,
            "cause": outcome.cause,
            "reason": outcome.reason[:LONGEST_REASON],
            "exit_code": outcome.exit_code,
            "signal": outcome.signal,
            "started": utc(self.started),
            "ended": utc(ended),
            "seconds": round(ended - self.started, 3),
            "machine": machine,
            "machine_type": machine_type,
            **found,
        }
