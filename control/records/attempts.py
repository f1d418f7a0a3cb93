"""Attempts of one job, how people name them, and their logs."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from control.aws.s3 import list_keys
from control.model import STATES
from control.records.job_objects import parse_attempt, parse_log, parse_record, read

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.model import Run

# How the worker begins each attempt's lines.
BEGINS = re.compile(r"attempt (\d+\.\d+) \(\d+ of \d+\) on ")
_NAME = re.compile(r"(?:([1-9]\d*)\.)?([1-9]\d*)")


def in_words(submission: int, receive: int, number: int, allowed: int, *, for_good: bool) -> str:
    """Return 'attempt 1.4 (3 of 3)': its name, and how many of the attempts that count it makes."""
    at_once = ", failed for good: another would not help" if for_good and number < allowed else ""
    return f"attempt {submission}.{receive} ({number} of {allowed}{at_once})"


@dataclass(frozen=True)
class Attempt:
    """One receive of a job.

    `ended` is "" if it ended silently, `log_key` names the object that holds its log, "" if none.
    """

    submission: int
    receive: int
    ended: str
    log_key: str

    @property
    def name(self) -> str:
        return f"{self.submission}.{self.receive}"


@dataclass(frozen=True)
class Known:
    """A job on S3: its attempts in their order, and its state if it has a record."""

    attempts: tuple[Attempt, ...]
    state: str

    def in_words(self) -> str:
        """Return 'done; attempts: 1.1 failed, 1.2 interrupted, 2.1 done'."""
        ends = [f"{one.name} {one.ended or 'ended silently'}" for one in self.attempts]
        attempts = f"attempts: {', '.join(ends)}" if ends else "no attempt has ended yet"
        return f"{self.state or 'not finished'}; {attempts}"

    def named(self, name: str) -> Attempt | None:
        """Return the attempt of this name; a number alone means one of the last submission."""
        found = _NAME.fullmatch(name)
        if not found or not self.attempts:
            return None
        wanted = int(found[1] or self.attempts[-1].submission), int(found[2])
        return next((a for a in self.attempts if (a.submission, a.receive) == wanted), None)


def known(s3: S3Client, run: Run, job_id: str) -> Known:
    """Return what S3 has about a job, from three listings and its record."""

    def keys(folder: str) -> Iterator[str]:
        return list_keys(s3, run.bucket, f"{run.prefix}{folder}/{job_id}.")

    ends: dict[tuple[int, int], str] = {}
    logs: dict[tuple[int, int], str] = {}
    for key in keys("attempts"):
        if attempt := parse_attempt(key):
            ends[attempt.submission, attempt.receive] = attempt.state
            logs[attempt.submission, attempt.receive] = key
    # A log that is too large for its attempt is an object of its own.
    logs |= {(log.submission, log.receive): key for key in keys("logs") if (log := parse_log(key))}
    records = [(parsed.state, key) for key in keys("records") if (parsed := parse_record(key))]
    state = next((one for one in STATES if one in dict(records)), "")
    seen = ends.keys() | logs.keys()
    for one in read(s3, run, [key for its_state, key in records if its_state == state]):
        # One whose attempts ended silently has left nothing but the failed record.
        number = one.record.get("submission", 1), one.record.get("receive", 1)
        if state == "done":
            ends[number] = state
            logs.setdefault(number, one.record.get("log_key") or "")
        if state in ("done", "failed"):
            seen |= {number}
    most = dict(sorted(seen))
    return Known(
        tuple(
            Attempt(s, n, ends.get((s, n), ""), logs.get((s, n), ""))
            for s in sorted(most)
            for n in range(1, most[s] + 1)
        ),
        state,
    )


def read_log(s3: S3Client, run: Run, key: str) -> Iterator[str]:
    """Yield the lines of the log that the object at `key` holds; none if it holds no log.

    A log of up to 64 KiB is inside an attempt or a record; a larger one is an object of its own,
    of any size. Raise NoSuchKey if the object is gone.
    """
    body = s3.get_object(Bucket=run.bucket, Key=key)["Body"]
    if not key.endswith(".json"):
        return (line.decode("utf-8", "replace") for line in body.iter_lines())
    return (
        line.decode("utf-8", "replace") for line in unpack_log(json.loads(body.read())).splitlines()
    )


def unpack_log(record: dict[str, Any]) -> bytes:
    """Return the log inside an attempt or a record; nothing if there is none."""
    return gzip.decompress(base64.b64decode(record.get("log") or ""))


def log_size(record: dict[str, Any]) -> int:
    """Return the bytes of the log inside an attempt or a record, without unpacking it."""
    log = record.get("log")
    try:
        # gzip ends with the size of its content (RFC 1952).
        return int.from_bytes(base64.b64decode(log[-8:])[-4:], "little") if log else 0
    except (TypeError, ValueError):
        return 0  # another program wrote it
