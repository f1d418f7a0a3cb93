"""logs: what a job wrote: from S3 when an attempt has ended, from CloudWatch while it runs."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from control import reasons, screen
from control.errors import UserError
from control.runs import finding, given_up
from control.services import logs, records
from control.words import several

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.runs.finding import Found
    from control.services.account import AWS
    from control.services.logs import Event
    from control.services.records import Run

# A line takes some seconds to CloudWatch, and those of two containers may come out of order.
_LATE_SECONDS = 30.0
_POLL_SECONDS = 3.0
_BEGINS = re.compile(r"attempt \d+ of \d+ on ")

Wait = Callable[[float], object]


@dataclass(frozen=True)
class Attempt:
    """One receive of a job: an attempt, as a user counts them; `ended` is "" if nobody says how."""

    submission: int
    receive: int
    ended: str
    has_log: bool


@dataclass(frozen=True)
class Known:
    """What S3 says of a job: its attempts in their order, and its state if it has a record."""

    attempts: tuple[Attempt, ...]
    state: str

    def in_words(self) -> str:
        """'done; attempts: 1 failed, 2 interrupted, 3 done'."""
        ends = [f"{n} {one.ended or 'left no word'}" for n, one in enumerate(self.attempts, 1)]
        attempts = f"attempts: {', '.join(ends)}" if ends else "no attempt has ended yet"
        return f"{self.state or 'not finished'}; {attempts}"


def known(s3: S3Client, run: Run, job_id: str) -> Known:
    """From three listings."""
    found = {
        folder: [
            key.rsplit("/", 1)[-1].split(".")[1:-1]
            for key in records.list_keys(s3, run.bucket, f"{run.prefix}{folder}/{job_id}.")
        ]
        for folder in ("attempts", "logs", "records")
    }
    states = {words[0] for words in found["records"]}
    state = next((one for one in records.STATES if one in states), "")
    ends = {(int(w[0]), int(w[1])): w[2] for w in found["attempts"]}
    with_log = {(int(w[0]), int(w[1])) for w in found["logs"]}
    last = max(with_log | ends.keys(), default=(0, 0))
    if state == "done":
        ends.setdefault(last, "done")
    most = {submission: receive for submission, receive in sorted(with_log | ends.keys())}
    return Known(
        tuple(
            Attempt(s, n, ends.get((s, n), ""), (s, n) in with_log)
            for s in sorted(most)
            for n in range(1, most[s] + 1)
        ),
        state,
    )


def show(
    aws: AWS,
    run: Run,
    word: str,
    *,
    attempt: int | None = None,
    follow: bool = False,
    grep: str = "",
    wait: Wait = time.sleep,
) -> None:
    """Print the log of the job that a word means: of the attempt of this number, else of the last.

    `follow` goes on until the job has a record; with `grep` only lines that hold it are printed.
    Raises UserError if there is no such job or attempt.
    """
    with screen.beside_an_answer():
        job = finding.in_run(aws.s3, run, word)
        of_job = known(aws.s3, run, job.id)
        screen.say(f"{job.name} (id {job.id}): {of_job.in_words()}")
        if attempt is not None:
            _write(_of_attempt(aws, run, job, of_job, attempt), grep)
        elif follow and not of_job.state:
            _write(_followed(aws, run, job, of_job, wait), grep)
            screen.say(f"{job.name}: {known(aws.s3, run, job.id).state}")
        else:
            _write(_last(aws, run, job, of_job), grep)


def _write(lines: Iterable[str], grep: str) -> None:
    text = grep.lower()
    for line in lines:
        if text in line.lower():
            screen.answer(screen.printable(line))


def _of_attempt(aws: AWS, run: Run, job: Found, of_job: Known, number: int) -> Iterator[str]:
    if not 1 <= number <= len(of_job.attempts):
        raise UserError(
            f"{job.name} has no attempt {number}: {of_job.in_words()}.",
            "Name one of these, or leave --attempt out for the last.",
        )
    wanted = of_job.attempts[number - 1]
    if wanted.has_log:
        return _from_s3(aws.s3, run, _key(run, job, wanted))
    screen.say("It left no log on S3; from CloudWatch:")
    written = _by_attempt(logs.of_job(aws.logs, run.log_group, job.name, _began(run)))
    return (event.text for event in (written[number - 1 : number] or [[]])[0])


def _last(aws: AWS, run: Run, job: Found, of_job: Known) -> Iterator[str]:
    """What is written now if that is anything, else the last log on S3."""
    on_s3 = [one for one in of_job.attempts if one.has_log]
    if not of_job.state or not on_s3:
        now = _by_attempt(_since(aws, run, job, on_s3))
        if now and not (on_s3 and _is_over(now[-1], job)):
            screen.say("From CloudWatch, as of now:" if not of_job.state else "From CloudWatch:")
            return (event.text for event in now[-1])
    if on_s3:
        return _from_s3(aws.s3, run, _key(run, job, on_s3[-1]))
    screen.say("It has no log." if of_job.state else "No attempt at it has begun: it waits.")
    return iter(())


def _followed(aws: AWS, run: Run, job: Found, of_job: Known, wait: Wait) -> Iterator[str]:
    """Line by line as they come, until the job has a record and its last lines have come, too."""
    begun = [one for one in of_job.attempts if one.has_log]
    events = _by_attempt(_since(aws, run, job, begun))
    shown = {event.id: event.time for event in (events[-1] if events else [])}
    yield from (event.text for event in (events[-1] if events else []))
    if not events:
        screen.say("Waiting for its next lines. Ctrl-C ends only this display.")
    since = max(shown.values(), default=_began(run)) - _LATE_SECONDS
    over = False
    while not over:
        # Asked first: what the job wrote before its record is among the lines then.
        over = bool(known(aws.s3, run, job.id).state)
        wait(_POLL_SECONDS)
        try:
            new = [
                e
                for e in logs.of_job(aws.logs, run.log_group, job.name, since, wait)
                if e.id not in shown
            ]
        except (BotoCoreError, ClientError) as error:
            if not reasons.is_passing(error):
                raise
            over = False
            continue
        yield from (event.text for event in new)
        shown |= {event.id: event.time for event in new}
        since = max(since, max(shown.values(), default=0.0) - _LATE_SECONDS)
        shown = {one: when for one, when in shown.items() if when >= since}


def _since(aws: AWS, run: Run, job: Found, on_s3: list[Attempt]) -> Iterator[Event]:
    """The job's lines in CloudWatch after the last log that is on S3."""
    since = _began(run)
    if on_s3:
        key = _key(run, job, on_s3[-1])
        written = aws.s3.head_object(Bucket=run.bucket, Key=key)["LastModified"].timestamp()
        since = max(since, written)
    return logs.of_job(aws.logs, run.log_group, job.name, since)


def _began(run: Run) -> float:
    """Nothing of a run was written before its RUN_ID, the time of its setup."""
    return datetime.strptime(run.run_id, "%Y%m%dT%H%M%S%z").timestamp()


def _by_attempt(events: Iterable[Event]) -> list[list[Event]]:
    """Each attempt's lines: the worker begins with one that says which it is. What stands before
    the first of those is the end of an attempt whose log is on S3."""
    found: list[list[Event]] = []
    for event in events:
        if _BEGINS.match(event.text):
            found.append([])
        if found:
            found[-1].append(event)
    return found


def _is_over(events: list[Event], job: Found) -> bool:
    """Whether the worker has said how the attempt ended; its log is on S3 right after that."""
    return events[-1].text.startswith((f"FAILED {job.name}", f"INTERRUPTED {job.name}"))


def _key(run: Run, job: Found, one: Attempt) -> str:
    return f"{run.prefix}logs/{job.id}.{one.submission}.{one.receive}.txt"


def _from_s3(s3: S3Client, run: Run, key: str) -> Iterator[str]:
    """The lines of a log, however large it is."""
    body = s3.get_object(Bucket=run.bucket, Key=key)["Body"]
    return (line.decode("utf-8", "replace") for line in body.iter_lines())


def grep_failed(aws: AWS, run: Run, text: str) -> None:
    """Print the lines that hold `text`, capitals or not, of the logs of all jobs given up."""
    with screen.beside_an_answer():
        keys = [given_up.record_key(run, one) for one in given_up.find(aws.s3, run).given_up]
        with screen.progress("Reading the failed jobs", len(keys)) as advance:
            read = [one.record for one in given_up.read(aws.s3, run, keys, advance)]
        of_jobs = [(one["job_name"], one["log_key"]) for one in read if one["log_key"]]
        lines = jobs = 0
        search = functools.partial(_search, aws.s3, run, text.lower())
        for found in given_up.over_many(search, of_jobs):
            _write(found, "")
            lines, jobs = lines + len(found), jobs + bool(found)
        failed = several(len(keys), "failed job")
        screen.say(f"{several(lines, 'line')} with {text!r}, in {jobs:,} logs of {failed}.")


def _search(s3: S3Client, run: Run, text: str, of_job: tuple[str, str]) -> list[str]:
    name, key = of_job
    try:
        return [f"{name}: {line}" for line in _from_s3(s3, run, key) if text in line.lower()]
    except s3.exceptions.NoSuchKey:
        return []  # somebody has removed it
