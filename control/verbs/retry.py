"""retry: send jobs again."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from control import screen
from control.aws.sqs import queue_counts
from control.command import typed
from control.errors import ExplainedError, UserError
from control.records import attempts, failed_jobs, failure_groups, find, states, store, submissions
from control.records.failed_jobs import Retiring
from control.records.find import Found
from control.records.job_objects import read
from control.records.journal import Journal
from control.records.submissions import Ids, Parts, Submissions
from control.text import several
from control.verbs import setup, submit
from control.verbs.submit import Outcome

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.config import Config
    from control.model import Run
    from control.records.job_objects import Read
    from control.user_files.job import Job

_SHOWN = 5


@dataclass(frozen=True)
class Wanted:
    """Which of the jobs that are given up: those named, those of a reason, else all.

    `unfinished` adds those that have no record, which is right only if their messages are lost.
    """

    words: Sequence[str] = ()
    reason: str = ""
    unfinished: bool = False


def retry(aws: AWS, config: Config, run: Run, wanted: Wanted, *, dry_run: bool = False) -> int:
    """Send them; returns how many were sent, or would be.

    Each is sent once, however often this is repeated: a job that was sent again is not given up
    any more, until its workers give it up anew. A run that has ended, or has lost its queue, is set
    up again. Raises UserError if a word names no job that is given up, ExplainedError if AWS
    fails in the middle: the same command goes on from there.
    """
    folder = config.project / submit.STATE_FOLDER / run.app_name / run.run_id
    journal = Journal(folder, folder / "retry")
    try:
        choice = _choose(aws, run, wanted, journal)
        if dry_run:
            return _show(aws, run, choice)
        if not choice.most:
            screen.say(_nothing(aws, run, wanted))
            return 0
        if choice.queue_gone:
            run = setup.reopen(aws, config, run)
        return _send(aws, run, choice, journal)
    finally:
        journal.close()


def _nothing(aws: AWS, run: Run, wanted: Wanted) -> str:
    failed = states.count(aws.s3, run).failed if wanted.reason else 0
    if failed:
        return (
            f"Of {several(failed, 'job')} given up, none has '{wanted.reason}' in its reason: "
            f"there is nothing to send. To see the reasons: {typed('failures')}"
        )
    return "No job is given up: there is nothing to send."


@dataclass
class _Choice:
    """Which jobs are sent, and why others are not.

    `lost`: no message of any of them is left, so that each is sent whatever was sent before.
    `recorded` are the jobs that have a record, where those that have none are sent too.
    `names` are those of the first jobs that are sent.
    """

    given_up: dict[int, Read]
    older: list[Read]
    recorded: Ids | None
    most: int
    queue_gone: bool
    lost: bool
    taken: Submissions
    uncertain: Submissions
    outcome: Outcome = field(default_factory=Outcome)
    names: list[str] = field(default_factory=list)

    def wants(self, job_id: int) -> bool:
        without_record = self.recorded is not None and job_id not in self.recorded
        return without_record or job_id in self.given_up or self.taken[job_id] > 0

    def number(self, job_id: int, last: int) -> int:
        """The number of the submission by which this job is sent now; 0 if it is not."""
        taken = self.taken[job_id]
        known = self.given_up.get(job_id)
        given_up_at = known.record["submission"] if known else 0
        if not self.lost:
            if taken > last or not known:
                # Sent by a command that was broken off, and only not on record yet.
                self.outcome.sent_before_break += taken > last
                return 0
            if given_up_at < last:
                # As before, but broken off before it could remove the failed record.
                self.outcome.already += 1
                return 0
            self.outcome.maybe_twice += self.uncertain[job_id] > last
        return max(last, taken, given_up_at) + 1


def _choose(aws: AWS, run: Run, wanted: Wanted, journal: Journal) -> _Choice:
    waiting = None if run.ended else queue_counts(aws.sqs, run.queue_url)
    if wanted.unfinished and waiting is not None and waiting.total:
        raise ExplainedError(
            f"{several(waiting.total, 'job')} wait in the queue or are in work: jobs without a "
            "record are not lost.",
            "Leave --unfinished out, or type it when the queue is empty.",
        )
    failed, older = _given_up(aws, run)
    chosen = _selected(aws, run, failed, wanted)
    # When the queue is gone, so are the messages of all jobs that have no record.
    lost = wanted.unfinished or waiting is None
    all_lost = lost and not wanted.words and not wanted.reason
    return _Choice(
        {int(one.record["job_id"], 16): one for one in chosen},
        older,
        states.recorded(aws.s3, run) if all_lost else None,
        len(chosen) + (_unfinished(aws, run) if all_lost else 0),
        waiting is None,
        lost,
        *journal.leftovers(),
    )


def _unfinished(aws: AWS, run: Run) -> int:
    return states.count(aws.s3, run).unfinished


def _given_up(aws: AWS, run: Run) -> tuple[list[Read], list[Read]]:
    failed = failed_jobs.find(aws.s3, run)
    with screen.progress("Reading the failed jobs", len(failed.for_good)) as advance:
        for_good = [one for one in read(aws.s3, run, failed.for_good, advance) if one.record]
    return for_good, [one for one in read(aws.s3, run, failed.older) if one.record]


def _selected(aws: AWS, run: Run, failed: list[Read], wanted: Wanted) -> list[Read]:
    """Those that were asked for. Raises UserError for a word that means none, or several."""
    by_job = {Found(one.record["job_name"], one.record["job_id"]): one for one in failed}
    if wanted.words:
        found = {_named(aws, run, word, by_job) for word in wanted.words}
        failed = [by_job[one] for one in sorted(found)]
    text = wanted.reason.lower()
    return [one for one in failed if text in _reasons(one)]


def _named(aws: AWS, run: Run, word: str, failed: Collection[Found]) -> Found:
    """The failed job that a word means; never another, because the one meant has not failed."""
    where = f"run {run.run_id} of {run.app_name}"
    if any(word in one for one in failed):
        return find.choose(word, failed, where)
    try:
        job = find.in_run(aws.s3, run, word)
    except find.NoSuchJob:
        raise
    except UserError:
        return find.choose(word, failed, f"the jobs given up in {where}")
    if job in failed:
        return job
    state = attempts.known(aws.s3, run, job.id).in_words()
    raise UserError(
        f"{job.name} (id {job.id}) is not given up now: {state}.",
        f"retry sends jobs that failed for good; to list them: {typed('failures', '--all')}. One "
        f"that was sent again and is not finished is waiting or running: {typed('status')}",
    )


def _reasons(one: Read) -> str:
    """The reason as it was said, and as `failures` names its group."""
    said = one.record["reason"]
    return f"{said}\n{failure_groups.pattern(said, one.record['job_name'])}".lower()


def _show(aws: AWS, run: Run, choice: _Choice) -> int:
    """Say what would be sent."""
    names = []
    for job, last in submissions.last_of(aws.s3, run, choice.wants):
        if choice.number(int(job.id, 16), last):
            names.append(job.name)
    for name in names[:_SHOWN]:
        screen.say(f"  {name}")
    if len(names) > _SHOWN:
        screen.say(f"  and {len(names) - _SHOWN:,} more")
    screen.say(f"{several(len(names), 'job')} would be sent; nothing was.")
    return len(names)


def _send(aws: AWS, run: Run, choice: _Choice, journal: Journal) -> int:
    run = store.change(aws.s3, run, _one_more)
    parts = Parts(aws.s3, run, run.submissions)
    retiring = Retiring([*choice.given_up.values(), *choice.older])
    with screen.progress("Submitting", choice.most) as advance:
        chosen = _to_send(aws, run, choice, parts, retiring, advance)
        submit.deliver(aws, run, chosen, journal, parts, choice.outcome, retiring, typed("retry"))
    journal.finish()
    _report(choice, run)
    if store.load(aws.s3, run.bucket, run.app_name, run.run_id).ended:
        raise ExplainedError(
            f"Run {run.run_id} was ended by its monitor at the same moment, and its queue with it.",
            "Run the same command again: it sets the run up again and sends what is lost.",
        )
    return choice.outcome.sent


def _to_send(
    aws: AWS,
    run: Run,
    choice: _Choice,
    parts: Parts,
    retiring: Retiring,
    advance: screen.Advance,
) -> Iterator[tuple[Job, int]]:
    """The jobs with the number of their submission; what was sent before is put on record."""
    for job, last in submissions.last_of(aws.s3, run, choice.wants):
        advance(1)
        job_id = int(job.id, 16)
        number = choice.number(job_id, last)
        choice.outcome.in_file += number > 0
        if number:
            if len(choice.names) < _SHOWN:
                choice.names.append(job.name)
            yield job, number
            continue
        if choice.taken[job_id] > last:
            parts.add([(job, choice.taken[job_id])])
        retiring.sent([(job, last)])


def _one_more(run: Run) -> Run:
    """Also forgets that the queue was seen empty: a monitor must not end the run upon that."""
    return dataclasses.replace(submit.count_submission(run), memory={})


def _report(choice: _Choice, run: Run) -> None:
    """Say exactly what was and was not sent. Raises ExplainedError if SQS refused some."""
    outcome = choice.outcome
    # Of many, or where some were refused, names would say more than is known.
    named = f": {', '.join(choice.names)}" if outcome.sent == len(choice.names) > 0 else "."
    screen.say(
        f"{several(outcome.sent, 'job')} sent to {run.queue_url.rsplit('/', 1)[-1]} again, with "
        f"all attempts anew{named}"
    )
    unknown = choice.most - outcome.in_file - outcome.sent_before_break - outcome.already
    kinds = {
        "sent already by the command that was broken off": outcome.sent_before_break,
        "sent again before, and not given up since": outcome.already,
        "possibly in the queue twice, on their way when the command or the connection was broken "
        "off; a job that is done is not run again": outcome.maybe_twice,
        "not sent: they were not submitted by submitJob, so their values are not on record; see "
        "the dead-letter queue": max(0, unknown),
    }
    for words, number in kinds.items():
        if number:
            screen.say(f"{several(number, 'job')} {words}.")
    if outcome.refused:
        shown = "; ".join(f"{job.name}: {why}" for job, why in outcome.refused[:_SHOWN])
        raise ExplainedError(
            f"SQS refused {several(len(outcome.refused), 'job')} ({shown}).",
            "Mend what it says, then run the same command again. It sends only those.",
        )
