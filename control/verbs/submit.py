"""submitJob: send the jobs of a job file."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from control import screen
from control.aws.session import AWS, caller_identity
from control.command import typed
from control.config import Config
from control.errors import ExplainedError
from control.explain import aws_errors
from control.model import Run
from control.records import failed_jobs, sending, states, store, submissions
from control.records.journal import Journal
from control.records.submissions import Ids, Known, Submissions
from control.text import several
from control.user_files import job_file
from control.user_files.job import Job, name_hash
from control.user_files.job_file import JobFile, Survey
from control.verbs import setup

_SHOWN = 5

# In the project's folder: what this computer must remember of a run.
STATE_FOLDER = ".runs"


@dataclass
class Outcome:
    """What a submission did, job by job in numbers."""

    in_file: int = 0
    sent: int = 0
    already: int = 0
    done_before: int = 0
    sent_before_break: int = 0
    not_in_file: int = 0
    maybe_twice: int = 0
    same_name: int = 0
    refused: list[tuple[Job, str]] = field(default_factory=list)


def to_live_run(aws: AWS, config: Config, path: Path, *, again: bool, missing: bool) -> Run:
    """Submit to the run that is set up, and say what was done; returns the run as it is then. See
    `submit` and `report`."""
    job_file.read(path)  # a mistake in its name or form is said before AWS is asked anything
    caller_identity(aws.sts)
    run = store.live(aws.s3, config.AWS_BUCKET, config.APP_NAME)
    setup.say_changes(run, config)
    state = config.project / STATE_FOLDER
    report(submit(aws, run, path, state, again=again, missing=missing), run, path)
    return store.load(aws.s3, run.bucket, run.app_name, run.run_id)


def submit(
    aws: AWS,
    run: Run,
    path: Path,
    state_folder: Path,
    *,
    again: bool = False,
    missing: bool = False,
    first: int | None = None,
) -> Outcome:
    """Send the jobs of the file at `path` that this run was not given yet.

    `again` sends all of them as their next submission; `missing` leaves out those done in any
    earlier run too; `first` takes so many of the file's, from its beginning. `state_folder` keeps
    the journal by which a broken-off submission goes on.
    Raises UserError for a mistake in the file (nothing was sent then), ExplainedError if AWS
    fails in the middle (it says what was sent).
    """
    file = job_file.read(path, first)
    found = _survey(file)
    journal = Journal(state_folder / run.app_name / run.run_id, path)
    try:
        return _send(aws, run, file, found, journal, again=again, missing=missing)
    finally:
        journal.close()


def dry_run(path: Path) -> Iterator[str]:
    """Lines that tell what would be sent; the last is the first message itself."""
    file = job_file.read(path)
    found = _survey(file)
    first = next(file.jobs())
    yield f"{file.groups_path}: {several(found.count - found.repeated, 'job')}; nothing was sent."
    yield f"The first is {first.name} (id {first.id}):"
    yield first.body


def _survey(file: JobFile) -> Survey:
    total = len(file.listed or ())
    with screen.progress("Checking the jobs", total) as advance:
        found = job_file.survey(file, advance)
    if found.repeated:
        screen.say(
            f"{file.groups_path}: {several(found.repeated, 'job')} more than once in it (first: "
            f"{found.first_repeated}); each is taken once."
        )
    return found


def _send(
    aws: AWS,
    run: Run,
    file: JobFile,
    found: Survey,
    journal: Journal,
    *,
    again: bool,
    missing: bool,
) -> Outcome:
    known = _known(aws, run)
    taken, uncertain = journal.leftovers()
    done = Ids(states.finished_ids(aws.s3, run.bucket, run.app_name)) if missing else Ids()
    retiring = failed_jobs.Retiring(failed_jobs.read_for_good(aws.s3, run) if again else ())
    run = store.change(aws.s3, run, count_submission)
    parts = submissions.Parts(aws.s3, run, run.submissions)
    outcome = Outcome(in_file=found.count, not_in_file=taken.beyond(known.submissions))
    choice = _Choice(known, taken, uncertain, done, again, outcome, parts)
    with screen.progress("Submitting", found.count) as advance:
        chosen = choice.to_send(file.jobs(), advance, found.repeated_ids)
        same = typed("submitJob", shlex.quote(str(file.path)))
        deliver(aws, run, chosen, journal, parts, outcome, retiring, same)
        _snapshot(aws, run, file)
    journal.finish()
    return outcome


def deliver(
    aws: AWS,
    run: Run,
    chosen: Iterable[tuple[Job, int]],
    journal: Journal,
    parts: submissions.Parts,
    outcome: Outcome,
    retiring: failed_jobs.Retiring,
    command: str,
) -> None:
    """Send the chosen jobs, each as the submission of this number, and put them on record.

    Raises ExplainedError if AWS fails in the middle: it reports what was sent, and that `command`
    continues from there.
    """
    try:
        for sent in sending.send_all(aws.sqs, run, sending.batches(chosen), journal):
            parts.add(sent.taken)
            retiring.sent(sent.taken)
            outcome.sent += len(sent.taken)
            outcome.refused += sent.refused
            outcome.maybe_twice += len(sent.taken) if sent.doubtful else 0
        parts.flush()
        retiring.finish(aws.s3, run)
    except (BotoCoreError, ClientError) as error:
        raise _broken_off(error, outcome, parts, command) from error
    except KeyboardInterrupt:
        screen.say(f"{outcome.sent:,} of {outcome.in_file:,} jobs were sent so far.")
        raise


def _known(aws: AWS, run: Run) -> Known:
    total = sum(sum(submissions.part_sizes(key)) for key in submissions.parts(aws.s3, run))
    with screen.progress("Reading what this run was given", total) as advance:
        return submissions.known(aws.s3, run, advance)


def _broken_off(
    error: Exception, outcome: Outcome, parts: submissions.Parts, command: str
) -> ExplainedError:
    with contextlib.suppress(BotoCoreError, ClientError):
        parts.flush()  # the journal has them too, but only on this computer
    why = aws_errors.explain(error) or ExplainedError(str(error), "")
    return ExplainedError(
        f"{outcome.sent:,} of {outcome.in_file:,} jobs were sent, then: {why.what}",
        f"{why.fix} Then, to continue where this one stopped: {command}",
    )


def count_submission(run: Run) -> Run:
    """One more command has sent jobs."""
    return dataclasses.replace(run, submissions=run.submissions + 1)


@dataclass
class _Choice:
    """Which jobs of the file are sent, and why the others are not."""

    known: Known
    taken: Submissions
    uncertain: Submissions
    done: Ids
    again: bool
    outcome: Outcome
    parts: submissions.Parts

    def to_send(
        self, jobs: Iterator[Job], advance: screen.Advance, repeated_ids: frozenset[int]
    ) -> Iterator[tuple[Job, int]]:
        seen: set[int] = set()
        for number, job in enumerate(jobs, start=1):
            if number % 100 == 0:
                advance(100)
            job_id = int(job.id, 16)
            if job_id in repeated_ids:
                if job_id in seen:
                    continue
                seen.add(job_id)
            submission = self.submission_of(job, job_id)
            if submission:
                yield job, submission

    def submission_of(self, job: Job, job_id: int) -> int:
        """The number of the submission by which this job is sent now; 0 if it is not."""
        last, taken = self.known.submissions[job_id], self.taken[job_id]
        if taken > last:
            # Sent by a command that was broken off, and only not on record yet.
            self.parts.add([(job, taken)])
            self.outcome.sent_before_break += 1
            self.outcome.not_in_file -= 1
        elif job_id in self.done:
            self.outcome.done_before += 1
        elif last and not self.again:
            self.outcome.already += 1
        elif taken > 1:
            # Only --again sends a job a second time: it is that command which goes on here.
            self.outcome.sent_before_break += 1
        else:
            self.outcome.maybe_twice += self.uncertain[job_id] > last
            self.outcome.same_name += not last and name_hash(job.name) in self.known.names
            return last + 1
        return 0


def _snapshot(aws: AWS, run: Run, file: JobFile) -> None:
    """Keep the job file with the run: what exactly was asked for."""
    for path in {file.path, file.groups_path}:
        key = f"{run.prefix}snapshot/{run.submissions:04d}-{path.name}"
        with path.open("rb") as content:
            aws.s3.put_object(Bucket=run.bucket, Key=key, Body=content)


def report(outcome: Outcome, run: Run, path: Path) -> None:
    """Say exactly what was and was not sent. Raises ExplainedError if SQS refused some."""
    screen.say(f"{several(outcome.sent, 'job')} sent to {run.queue_url.rsplit('/', 1)[-1]}.")
    kinds = {
        "submitted in this run before, not sent again (--again sends them)": outcome.already,
        "done in an earlier run, not sent": outcome.done_before,
        "sent already by the command that was broken off": outcome.sent_before_break,
        "not in this file, but sent by a command that was broken off; submit their own file "
        "again to have them counted": outcome.not_in_file,
        "possibly in the queue twice, on their way when the command or the connection was broken "
        "off; a job that is done is not run again": outcome.maybe_twice,
        "with the name of an earlier job of this run but other values; their results replace its "
        "results": outcome.same_name,
    }
    for words, number in kinds.items():
        if number:
            screen.say(f"{several(number, 'job')} {words}.")
    if outcome.refused:
        shown = "; ".join(f"{job.name}: {why}" for job, why in outcome.refused[:_SHOWN])
        raise ExplainedError(
            f"SQS refused {several(len(outcome.refused), 'job')} ({shown}).",
            "Fix the cause, then send only those again: "
            f"{typed('submitJob', shlex.quote(str(path)))}",
        )
