"""retry: send jobs again."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from control import cli, screen
from control.aws.session import caller_identity
from control.aws.sqs import queue_counts
from control.command import typed
from control.errors import ExplainedError, UserError
from control.records import (
    attempts,
    failed_jobs,
    failure_groups,
    find,
    live_run,
    states,
    store,
    submissions,
)
from control.records.delivery import STATE_FOLDER, Delivery
from control.records.find import Found
from control.records.job_objects import read
from control.records.submissions import Ids
from control.text import several
from control.verbs import next_command, project

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.config import Config
    from control.model import Run
    from control.records.job_objects import Read
    from control.user_files.job import Job

_SHOWN = 5


@cli.command("retry", example="retry")
@click.argument("jobs", metavar="[JOB]...", nargs=-1)
@click.option("--reason", metavar="TEXT", default="", help="only jobs that failed for it")
@click.option(
    "--unfinished", is_flag=True, help="also jobs without a record, if the queue lost them"
)
@cli.dry_run_option
# For an earlier run it only says what to type instead.
@click.option("--run", "run_id", metavar="RUN_ID", default="", hidden=True)
def command(
    where: Path,
    jobs: tuple[str, ...],
    reason: str,
    unfinished: bool,
    dry_run: bool,
    run_id: str,
) -> None:
    """Send jobs again that failed for good.

    JOB is a job's name or id, or a part of either; default: all of them.
    """
    config, aws, named = project.find_run(where, run_id)
    run = store.latest(aws.s3, config.AWS_BUCKET, config.APP_NAME)
    next_command.refuse_earlier(named, run)
    if retry(aws, config, run, Wanted(jobs, reason, unfinished), dry_run=dry_run) and not dry_run:
        start = typed("startCluster", cli.FLEET)
        screen.next_command(f"{start}   (if its machines still run: monitor)")


@dataclass(frozen=True)
class Wanted:
    """Which of the jobs that failed for good: those named, those of a reason, else all.

    `unfinished` adds those that have no record, which is right only if their messages are lost.
    """

    words: Sequence[str] = ()
    reason: str = ""
    unfinished: bool = False

    @property
    def command(self) -> str:
        """Return what continues it, without --unfinished: the queue is not empty then."""
        reason = ["--reason", self.reason] if self.reason else []
        return typed("retry", *map(shlex.quote, [*self.words, *reason]))


def retry(aws: AWS, config: Config, run: Run, wanted: Wanted, *, dry_run: bool = False) -> int:
    """Send them; return how many were sent, or would be.

    Each is sent once, however often this is repeated: a job that was sent again counts as failed
    only if its workers fail again. A run that has ended, or has lost its queue, is set up again.
    Raise UserError if a word names no job that failed for good, ExplainedError if AWS fails in the
    middle: the same command continues from there.
    """
    folder = config.project / STATE_FOLDER
    with Delivery(aws, run, folder, wanted.command) as delivery:
        choice = _choose(delivery, wanted)
        if dry_run:
            return _show(choice)
        if not choice.most:
            screen.say(_nothing(aws, run, wanted))
            return 0
        if choice.queue_gone:
            owner = caller_identity(aws.sts).arn
            delivery.run = live_run.make_live(aws, config, run, owner, reopen=True)
        return _send(choice)


def _nothing(aws: AWS, run: Run, wanted: Wanted) -> str:
    failed = states.count(aws.s3, run).failed if wanted.reason else 0
    if failed:
        return (
            f"{several(failed, 'job')} failed for good, none with '{wanted.reason}' in its reason: "
            f"there is nothing to send. To see the reasons: {typed('failures')}"
        )
    return "No job has failed for good: there is nothing to send."


@dataclass
class _Choice:
    """Which jobs are sent.

    `lost`: none of their messages is left, so that each is sent whatever was sent before.
    `recorded` are the jobs that have a record, if those that have none are sent too.
    `names` are those of the first jobs that are sent.
    """

    delivery: Delivery
    failed: dict[int, Read]
    older: list[Read]
    recorded: Ids | None
    most: int
    queue_gone: bool
    lost: bool
    names: list[str] = field(default_factory=list)

    def wants(self, job_id: int) -> bool:
        without_record = self.recorded is not None and job_id not in self.recorded
        return without_record or job_id in self.failed

    def submitted(self) -> Iterator[tuple[Job, int]]:
        """Yield the wanted jobs, each with the number of its last submission."""
        return submissions.last_of(self.delivery.aws.s3, self.delivery.run, self.wants)

    def number(self, job_id: int, last: int) -> int:
        """Return the number of the submission by which this job is sent now; 0 if it is not."""
        known = self.failed.get(job_id)
        failed_at = known.record["submission"] if known else 0
        if failed_at < last and not self.lost:
            # Sent before by a command that did not remove the failed record.
            self.delivery.outcome.sent_before += 1
            return 0
        return max(last, failed_at) + 1


def _choose(delivery: Delivery, wanted: Wanted) -> _Choice:
    aws, run = delivery.aws, delivery.run
    waiting = None if run.ended else queue_counts(aws.sqs, run.queue_url)
    if wanted.unfinished and waiting is not None and waiting.total:
        raise ExplainedError(
            f"{several(waiting.total, 'job')} wait in the queue or are running: jobs without a "
            "record are not lost.",
            "Leave --unfinished out, or type it when the queue is empty.",
        )
    failed, older = _given_up(aws, run)
    chosen = _selected(aws, run, failed, wanted)
    # When the queue is gone, so are the messages of all jobs that have no record.
    lost = wanted.unfinished or waiting is None
    all_lost = lost and not wanted.words and not wanted.reason
    return _Choice(
        delivery,
        {int(one.record["job_id"], 16): one for one in chosen},
        older,
        states.recorded(aws.s3, run) if all_lost else None,
        len(chosen) + (states.count(aws.s3, run).unfinished if all_lost else 0),
        waiting is None,
        lost,
    )


def _given_up(aws: AWS, run: Run) -> tuple[list[Read], list[Read]]:
    failed = failed_jobs.find(aws.s3, run)
    with screen.progress("Reading the failed jobs", len(failed.for_good)) as advance:
        for_good = [one for one in read(aws.s3, run, failed.for_good, advance) if one.record]
    return for_good, [one for one in read(aws.s3, run, failed.older) if one.record]


def _selected(aws: AWS, run: Run, failed: list[Read], wanted: Wanted) -> list[Read]:
    """Return the wanted ones. Raise UserError for a word that means none, or several."""
    by_job = {Found(one.record["job_name"], one.record["job_id"]): one for one in failed}
    if wanted.words:
        found = {_named(aws, run, word, by_job) for word in wanted.words}
        failed = [by_job[one] for one in sorted(found)]
    text = wanted.reason.lower()
    return [one for one in failed if text in _reasons(one)]


def _named(aws: AWS, run: Run, word: str, failed: Collection[Found]) -> Found:
    """Return the failed job that a word means; never another if the one meant has not failed."""
    where = f"run {run.run_id} of {run.app_name}"
    if any(word in one for one in failed):
        return find.choose(word, failed, where)
    try:
        job = find.in_run(aws.s3, run, word)
    except find.NoSuchJob:
        raise
    except UserError:
        return find.choose(word, failed, f"the jobs that failed for good in {where}")
    if job in failed:
        return job
    state = attempts.known(aws.s3, run, job.id).in_words()
    raise UserError(
        f"{job.name} (id {job.id}) has not failed for good: {state}.",
        f"retry sends jobs that failed for good; to list them: {typed('failures', '--all')}. One "
        f"that was sent again and is not finished is waiting or running: {typed('status')}",
    )


def _reasons(one: Read) -> str:
    """Return the reason as it was recorded, and as `failures` names its group."""
    reason = one.record["reason"]
    return f"{reason}\n{failure_groups.pattern(reason, one.record['job_name'])}".lower()


def _show(choice: _Choice) -> int:
    """Print what would be sent."""
    names = [job.name for job, last in choice.submitted() if choice.number(int(job.id, 16), last)]
    for name in names[:_SHOWN]:
        screen.say(f"  {name}")
    if len(names) > _SHOWN:
        screen.say(f"  and {len(names) - _SHOWN:,} more")
    screen.say(f"{several(len(names), 'job')} would be sent; nothing was.")
    return len(names)


def _send(choice: _Choice) -> int:
    delivery = choice.delivery
    # A monitor must not end the run because the queue was empty before.
    failed = [*choice.failed.values(), *choice.older]
    delivery.begin(failed, lost=choice.lost, memory={})
    with screen.progress("Submitting", choice.most) as advance:
        delivery.send(_to_send(choice, advance))
    _report(choice)
    run = delivery.run
    if store.load(delivery.aws.s3, run.bucket, run.app_name, run.run_id).ended:
        raise ExplainedError(
            f"Run {run.run_id} was ended by its monitor at the same moment, and its queue with it.",
            "Run the same command again: it sets the run up again and sends what is lost.",
        )
    return delivery.outcome.sent


def _to_send(choice: _Choice, advance: screen.Advance) -> Iterator[tuple[Job, int]]:
    """Yield the jobs with the number of their submission."""
    delivery = choice.delivery
    for job, last in choice.submitted():
        advance(1)
        job_id = int(job.id, 16)
        number = choice.number(job_id, last)
        if number:
            delivery.outcome.in_file += 1
            if len(choice.names) < _SHOWN:
                choice.names.append(job.name)
            yield job, number
        else:
            delivery.retire(job, last)


def _report(choice: _Choice) -> None:
    """Print what was and was not sent. Raise ExplainedError if SQS refused some jobs."""
    outcome, names = choice.delivery.outcome, choice.names
    known = outcome.in_file + outcome.sent_before
    outcome.not_on_record = max(0, choice.most - known)
    queue = choice.delivery.run.queue_url.rsplit("/", 1)[-1]
    # The names of some of many, or where SQS refused some, would claim more than is known.
    named = f": {', '.join(names)}" if outcome.sent == len(names) > 0 else "."
    outcome.report(
        f"{several(outcome.sent, 'job')} sent to {queue} again, with all attempts{named}",
        choice.delivery.command,
    )
