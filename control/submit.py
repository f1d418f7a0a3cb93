"""submitJob: every job of a job file into the queue, once."""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from control import job_file, reasons, records, screen, sending, submitted, survey
from control.account import AWS
from control.errors import ExplainedError
from control.job_file import JobFile
from control.jobs import Job
from control.records import Run
from control.submitted import Ids, Known

_SHOWN = 5


@dataclass
class Outcome:
    """What a submission did, job by job in numbers."""

    in_file: int = 0
    sent: int = 0
    already: int = 0
    done_before: int = 0
    sent_before_break: int = 0
    maybe_twice: int = 0
    refused: list[tuple[Job, str]] = field(default_factory=list)


def submit(
    aws: AWS,
    run: Run,
    path: Path,
    state_folder: Path,
    *,
    again: bool = False,
    missing: bool = False,
) -> Outcome:
    """Send the jobs of the file at `path` that this run was not given yet.

    `again` sends all of them as their next submission; `missing` leaves out those done in any
    earlier run too. `state_folder` keeps the journal by which a broken-off submission goes on.
    Raises UserError for a mistake in the file (nothing was sent then), ExplainedError if AWS
    fails in the middle (it says what was sent).
    """
    file = job_file.read(path)
    found = survey.survey(file)
    _say_repeats(file, found)
    journal = submitted.Journal(state_folder / run.app_name / run.run_id, path)
    try:
        return _send(aws, run, file, found, journal, again=again, missing=missing)
    finally:
        journal.close()


def dry_run(path: Path) -> Iterator[str]:
    """Lines that tell what would be sent; the last is the first message itself."""
    file = job_file.read(path)
    found = survey.survey(file)
    _say_repeats(file, found)
    first = next(file.jobs())
    yield f"{file.groups_path}: {found.count - found.repeated:,} jobs; nothing was sent."
    yield f"The first is {first.name} (id {first.id}):"
    yield first.body


def _say_repeats(file: JobFile, found: survey.Survey) -> None:
    if found.repeated:
        screen.say(
            f"{file.groups_path}: {found.repeated:,} jobs stand there more than once (first: "
            f"{found.first_repeated}); each is taken once."
        )


def _send(
    aws: AWS,
    run: Run,
    file: JobFile,
    found: survey.Survey,
    journal: submitted.Journal,
    *,
    again: bool,
    missing: bool,
) -> Outcome:
    known = submitted.known(aws.s3, run)
    taken, uncertain = journal.leftovers()
    done = _done_anywhere(aws, run) if missing else Ids()
    run = records.change(aws.s3, run, _count_submission)
    parts = submitted.Parts(aws.s3, run, run.submissions)
    outcome = Outcome(in_file=found.count)
    choice = _Choice(known, taken, uncertain, done, again, outcome, parts)
    with screen.progress("Submitting", found.count) as advance:
        chosen = choice.to_send(file.jobs(), advance, found.repeated > 0)
        work = sending.batches(chosen)
        try:
            for sent in sending.send_all(
                aws.sqs, run.queue_url, run.run_id, work, before=journal.sending
            ):
                journal.sent(sent.taken)
                parts.add(sent.taken)
                outcome.sent += len(sent.taken)
                outcome.refused += sent.refused
            parts.flush()
        except (BotoCoreError, ClientError) as error:
            raise _broken_off(error, outcome, file) from error
    _snapshot(aws, run, file)
    journal.finish()
    return outcome


def _broken_off(error: Exception, outcome: Outcome, file: JobFile) -> ExplainedError:
    why = reasons.explain(error)
    return ExplainedError(
        f"{outcome.sent:,} of {outcome.in_file:,} jobs were sent, then: "
        f"{why.what if why else error}",
        f"Run again: python run.py submitJob {file.path}. It goes on where this one stopped.",
    )


def _count_submission(run: Run) -> Run:
    return dataclasses.replace(run, submissions=run.submissions + 1)


@dataclass
class _Choice:
    """Which jobs of the file are sent, and why the others are not."""

    known: Known
    taken: Ids
    uncertain: Ids
    done: Ids
    again: bool
    outcome: Outcome
    parts: submitted.Parts

    def to_send(
        self, jobs: Iterator[Job], advance: screen.Advance, repeats: bool
    ) -> Iterator[tuple[Job, int]]:
        seen: set[str] = set()
        for number, job in enumerate(jobs, start=1):
            if number % 100 == 0:
                advance(100)
            if repeats:
                if job.id in seen:
                    continue
                seen.add(job.id)
            submission = self.submission_of(job)
            if submission:
                yield job, submission

    def submission_of(self, job: Job) -> int:
        """The number of the submission by which this job is sent now; 0 if it is not."""
        job_id = int(job.id, 16)
        submission = self.known.next_submission(job_id)
        if job_id in self.done:
            self.outcome.done_before += 1
        elif submission > 1 and not self.again:
            self.outcome.already += 1
        elif job_id in self.taken:
            # Sent by the command that was broken off, and only not on record yet.
            self.parts.add([(job, submission)])
            self.outcome.sent_before_break += 1
        else:
            self.outcome.maybe_twice += job_id in self.uncertain
            return submission
        return 0


def _done_anywhere(aws: AWS, run: Run) -> Ids:
    """The ids of all jobs that any run of this app has done."""
    done = array("Q")
    for key in records.list_keys(aws.s3, run.bucket, f"runs/{run.app_name}/"):
        folder, _, name = key.rpartition("/")
        if folder.endswith("/records") and name.split(".")[1] in ("done", "skipped"):
            done.append(int(name.split(".")[0], 16))
    return Ids(done)


def _snapshot(aws: AWS, run: Run, file: JobFile) -> None:
    """Keep the job file with the run: what exactly was asked for."""
    for path in {file.path, file.groups_path}:
        key = f"{run.prefix}snapshot/{run.submissions:04d}-{path.name}"
        aws.s3.upload_file(str(path), run.bucket, key)


def report(outcome: Outcome, run: Run, path: Path) -> None:
    """Say exactly what was and was not sent. Raises ExplainedError if SQS refused some."""
    screen.say(f"{outcome.sent:,} jobs sent to {run.queue_url.rsplit('/', 1)[-1]}.")
    kinds = {
        "were submitted in this run before and not sent again (--again sends them)": (
            outcome.already
        ),
        "were done in an earlier run": outcome.done_before,
        "had been sent by the command that was broken off": outcome.sent_before_break,
        "may be in the queue twice, being in flight when it was broken off; a job that is done "
        "is not run again": outcome.maybe_twice,
    }
    for words, number in kinds.items():
        if number:
            screen.say(f"{number:,} {words}.")
    if outcome.refused:
        shown = "; ".join(f"{job.name}: {why}" for job, why in outcome.refused[:_SHOWN])
        raise ExplainedError(
            f"SQS refused {len(outcome.refused):,} jobs ({shown}).",
            f"Mend what it says and run again: python run.py submitJob {path}. It sends only "
            "those.",
        )
