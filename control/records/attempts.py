"""Attempts of jobs, and how people name them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from control.aws.s3 import list_keys
from control.model import STATES
from control.records import failed_jobs

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.model import Run

# How the worker begins each attempt's lines.
BEGINS = re.compile(r"attempt (\d+\.\d+) \(\d+ of \d+\) on ")

_NAME = re.compile(r"(?:([1-9]\d*)\.)?([1-9]\d*)")


def in_words(submission: int, receive: int, number: int, allowed: int, *, is_given_up: bool) -> str:
    """'attempt 1.4 (3 of 3)': its name, and how many of those that count it makes, of how many."""
    at_once = ", given up: another would not help" if is_given_up and number < allowed else ""
    return f"attempt {submission}.{receive} ({number} of {allowed}{at_once})"


@dataclass(frozen=True)
class Attempt:
    """One receive of a job; `ended` is "" if nobody says how."""

    submission: int
    receive: int
    ended: str
    has_log: bool

    @property
    def name(self) -> str:
        return f"{self.submission}.{self.receive}"


@dataclass(frozen=True)
class Known:
    """What S3 says of a job: its attempts in their order, and its state if it has a record."""

    attempts: tuple[Attempt, ...]
    state: str

    def in_words(self) -> str:
        """'done; attempts: 1.1 failed, 1.2 interrupted, 2.1 done'."""
        ends = [f"{one.name} {one.ended or 'left no word'}" for one in self.attempts]
        attempts = f"attempts: {', '.join(ends)}" if ends else "no attempt has ended yet"
        return f"{self.state or 'not finished'}; {attempts}"

    def named(self, name: str) -> Attempt | None:
        """The attempt of this name; of a number alone that of the last submission."""
        found = _NAME.fullmatch(name)
        if not found or not self.attempts:
            return None
        wanted = int(found[1] or self.attempts[-1].submission), int(found[2])
        return next((a for a in self.attempts if (a.submission, a.receive) == wanted), None)


def known(s3: S3Client, run: Run, job_id: str) -> Known:
    """From three listings, and the record of a job that is given up."""
    found = {
        folder: [
            key.rsplit("/", 1)[-1].split(".")[1:-1]
            for key in list_keys(s3, run.bucket, f"{run.prefix}{folder}/{job_id}.")
        ]
        for folder in ("attempts", "logs", "records")
    }
    states = {words[0] for words in found["records"]}
    state = next((one for one in STATES if one in states), "")
    ends = {(int(w[0]), int(w[1])): w[2] for w in found["attempts"]}
    with_log = {(int(w[0]), int(w[1])) for w in found["logs"]}
    seen = with_log | ends.keys()
    if state == "done":
        ends.setdefault(max(seen, default=(0, 0)), "done")
    if state == "failed":
        seen |= _last_of_failed(s3, run, job_id)
    most = dict(sorted(seen))
    return Known(
        tuple(
            Attempt(s, n, ends.get((s, n), ""), (s, n) in with_log)
            for s in sorted(most)
            for n in range(1, most[s] + 1)
        ),
        state,
    )


def _last_of_failed(s3: S3Client, run: Run, job_id: str) -> set[tuple[int, int]]:
    """Those that were killed without a word at the end have left nothing but the record."""
    keys = [failed_jobs.record_key(run, job_id)]
    read: list[dict[str, Any]] = [
        one.record for one in failed_jobs.read(s3, run, keys, lambda _: 0)
    ]
    return {(one["submission"], one["receive"]) for one in read}
