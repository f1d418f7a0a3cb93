"""logs: a job's log."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from botocore.exceptions import BotoCoreError, ClientError

from control import cli, screen
from control.aws import cloudwatch_logs
from control.command import typed
from control.errors import UserError
from control.explain import aws_errors
from control.records import attempts, failed_jobs, find
from control.records.job_objects import in_parallel, read
from control.text import several
from control.verbs import project

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.aws.cloudwatch_logs import Event
    from control.aws.session import AWS
    from control.model import Run
    from control.records.attempts import Attempt, Known
    from control.records.find import Found

# A line takes some seconds to CloudWatch, and those of two containers may come out of order.
_LATE_SECONDS = 30.0
_POLL_SECONDS = 3.0
Wait = Callable[[float], object]


@cli.command("logs", example="logs P1-A01")
@click.argument("job", metavar="[JOB]", required=False)
@click.option(
    "--attempt",
    metavar="S.N",
    default="",
    help="as `failures` and `logs JOB` name it, such as 1.2; default: the last",
)
@click.option("--follow", is_flag=True, help="continue until the job has ended")
@click.option(
    "--grep",
    metavar="TEXT",
    default="",
    help="only lines with it; without JOB, of all failed jobs",
)
@cli.run_option
def command(
    where: Path, job: str | None, attempt: str, follow: bool, grep: str, run_id: str
) -> None:
    """Show what a job wrote.

    JOB is its name or id, or a part of either.
    """
    if not job and not grep:
        raise UserError(
            "`logs` was given no job.",
            f"Name one (to see those that failed: {typed('failures')}), or search the logs of all "
            "failed jobs with --grep TEXT.",
        )
    if not job and (follow or attempt):
        raise UserError(
            "--follow and --attempt are for one job.",
            "Name a job, or leave --follow and --attempt out.",
        )
    _, aws, run = project.find_run(where, run_id)
    if job:
        show(aws, run, job, attempt=attempt, follow=follow, grep=grep)
    else:
        grep_failed(aws, run, grep)


def show(
    aws: AWS,
    run: Run,
    word: str,
    *,
    attempt: str = "",
    follow: bool = False,
    grep: str = "",
    wait: Wait = time.sleep,
) -> None:
    """Print the log of the job that a word means: of the attempt of this name, else of the last.

    `follow` continues until the job has a record; `grep` prints only lines that contain it. Raise
    UserError if there is no such job or attempt.
    """
    with screen.beside_an_answer():
        job = find.in_run(aws.s3, run, word)
        of_job = attempts.known(aws.s3, run, job.id)
        screen.say(f"{job.name} (id {job.id}): {of_job.in_words()}")
        if attempt:
            _write(_of_attempt(aws, run, job, of_job, attempt), grep)
        elif follow and not of_job.state:
            _write(_followed(aws, run, job, of_job, wait), grep)
            screen.say(f"{job.name}: {attempts.known(aws.s3, run, job.id).state}")
        else:
            _write(_last(aws, run, job, of_job), grep)


def _write(lines: Iterable[str], grep: str) -> None:
    text = grep.lower()
    for line in lines:
        if text in line.lower():
            screen.answer(screen.printable(line))


def _of_attempt(aws: AWS, run: Run, job: Found, of_job: Known, name: str) -> Iterator[str]:
    wanted = of_job.named(name)
    if wanted is None:
        raise UserError(
            f"{job.name} has no attempt {name}: {of_job.in_words()}.",
            "Name one of these, or leave --attempt out for the last.",
        )
    lines = attempts.read_log(aws.s3, run, wanted.log_key) if wanted.log_key else iter(())
    first = next(lines, None)
    if first is not None:
        return itertools.chain([first], lines)
    screen.say("It left no log on S3; from CloudWatch:")
    written = _by_attempt(cloudwatch_logs.of_job(aws.logs, run.log_group, job.name, run.began))
    return (event.text for event in written.get(wanted.name, []))


def _last(aws: AWS, run: Run, job: Found, of_job: Known) -> Iterator[str]:
    """Return the lines written now if there are any, else the last log on S3."""
    on_s3 = [one for one in of_job.attempts if one.log_key]
    if not of_job.state or not on_s3:
        name, now = _last_begun(_since(aws, run, job, on_s3))
        if now and name not in {one.name for one in on_s3}:
            screen.say("From CloudWatch, as of now:" if not of_job.state else "From CloudWatch:")
            return (event.text for event in now)
    if on_s3:
        others = [*(one for one in of_job.attempts if not one.log_key), *on_s3[:-1]]
        if others:
            screen.say(f"This is attempt {on_s3[-1].name}; another: --attempt {others[-1].name}")
        return attempts.read_log(aws.s3, run, on_s3[-1].log_key)
    screen.say("It has no log." if of_job.state else "No attempt at it has begun: it waits.")
    return iter(())


def _followed(aws: AWS, run: Run, job: Found, of_job: Known, wait: Wait) -> Iterator[str]:
    """Yield lines as they come, until the job has a record and its last lines have come, too."""
    begun = [one for one in of_job.attempts if one.log_key]
    _, events = _last_begun(_since(aws, run, job, begun))
    shown = {event.id: event.time for event in events}
    yield from (event.text for event in events)
    if not events:
        screen.say("Waiting for its next lines. Ctrl-C ends only this display.")
    since = max(shown.values(), default=run.began) - _LATE_SECONDS
    over = False
    while not over:
        # Asked first: what the job wrote before its record is among the lines then.
        over = bool(attempts.known(aws.s3, run, job.id).state)
        wait(_POLL_SECONDS)
        try:
            new = [
                e
                for e in cloudwatch_logs.of_job(aws.logs, run.log_group, job.name, since, wait)
                if e.id not in shown
            ]
        except (BotoCoreError, ClientError) as error:
            if not aws_errors.is_passing(error):
                raise
            over = False
            continue
        yield from (event.text for event in new)
        shown |= {event.id: event.time for event in new}
        since = max(since, max(shown.values(), default=0.0) - _LATE_SECONDS)
        shown = {one: when for one, when in shown.items() if when >= since}


def _since(aws: AWS, run: Run, job: Found, on_s3: list[Attempt]) -> Iterator[Event]:
    """Return the job's lines in CloudWatch after the last log that is on S3."""
    since = run.began
    if on_s3:
        head = aws.s3.head_object(Bucket=run.bucket, Key=on_s3[-1].log_key)
        since = max(since, head["LastModified"].timestamp())
    return cloudwatch_logs.of_job(aws.logs, run.log_group, job.name, since)


def _by_attempt(events: Iterable[Event]) -> dict[str, list[Event]]:
    """Return each attempt's lines by its name, which is in the worker's first line.

    Lines above the first of those are the end of an attempt whose log is on S3.
    """
    found: dict[str, list[Event]] = {}
    name = ""
    for event in events:
        begins = attempts.BEGINS.match(event.text)
        name = begins[1] if begins else name
        if name:
            found.setdefault(name, []).append(event)
    return found


def _last_begun(events: Iterable[Event]) -> tuple[str, list[Event]]:
    """Return the name and the lines of the last attempt that has begun, both empty if none has."""
    return list(_by_attempt(events).items() or [("", [])])[-1]


def grep_failed(aws: AWS, run: Run, text: str) -> None:
    """Print the lines with `text`, capitals or not, in the logs of jobs that failed for good."""
    with screen.beside_an_answer():
        keys = failed_jobs.find(aws.s3, run).for_good
        with screen.progress("Reading the failed jobs", len(keys)) as advance:
            records = [one.record for one in read(aws.s3, run, keys, advance)]
        of_jobs = [(one["job_name"], one["log_key"]) for one in records if one.get("log_key")]
        lines = jobs = 0
        search = functools.partial(_search, aws.s3, run, text.lower())
        for found in in_parallel(search, of_jobs):
            _write(found, "")
            lines, jobs = lines + len(found), jobs + bool(found)
        where = f"{several(jobs, 'log')} of {several(len(keys), 'failed job')}"
        screen.say(f"{several(lines, 'line')} with {text!r}, in {where}.")


def _search(s3: S3Client, run: Run, text: str, of_job: tuple[str, str]) -> list[str]:
    name, key = of_job
    try:
        lines = attempts.read_log(s3, run, key)
        return [f"{name}: {line}" for line in lines if text in line.lower()]
    except s3.exceptions.NoSuchKey:
        return []  # somebody has removed it
