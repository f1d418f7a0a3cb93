"""submitJob: send the jobs of a job file."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from control import cli, screen
from control.aws import session
from control.command import typed
from control.config import find_in_project, load_config
from control.errors import UserError
from control.records import failed_jobs, states, store, submissions
from control.records.delivery import STATE_FOLDER, Delivery, Outcome
from control.records.submissions import Ids, Known
from control.text import several
from control.user_files import job_file
from control.user_files.job import Job, name_hash
from control.user_files.job_file import JobFile, Survey
from control.verbs import next_command, project
from control.verbs.local.environment import load_project

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.config import Config
    from control.model import Run

again_option = click.option(
    "--again", is_flag=True, help="also send jobs already submitted in this run"
)
missing_option = click.option(
    "--missing", is_flag=True, help="leave out jobs done in any earlier run"
)


@cli.command("submitJob", example=f"submitJob {cli.JOBS}")
@click.argument("job_file", metavar="JOBFILE")
@again_option
@missing_option
@cli.dry_run_option
def command(where: Path, job_file: str, again: bool, missing: bool, dry_run: bool) -> None:
    """Send the jobs of a job file."""
    if dry_run and (missing or again):
        raise UserError(
            "--dry-run reads the job file alone; what --missing and --again send depends on what "
            "is recorded on S3.",
            "Leave one of them out.",
        )
    config = load_config(where, embedded=True) if dry_run else load_project(where)
    jobs = read_jobs(find_in_project(config, job_file))
    if dry_run:
        show(jobs)
        return
    aws = session.connect(config)
    run = to_live_run(aws, config, jobs, again=again, missing=missing)
    screen.next_command(next_command.next_verb(aws, run))


class Jobs(NamedTuple):
    """A job file that was read and found to be without mistakes."""

    file: JobFile
    survey: Survey


def read_jobs(path: Path, first: int | None = None) -> Jobs:
    """Read the job file at `path`, or its `first` jobs only, and say which are repeated.

    Raise UserError for any mistake in it.
    """
    file = job_file.read(path, first)
    with screen.progress("Checking the jobs", len(file.listed or ())) as advance:
        found = job_file.survey(file, advance)
    if found.repeated:
        screen.say(
            f"{file.groups_path}: {several(found.repeated, 'job')} more than once in it (first: "
            f"{found.first_repeated}); each is sent once."
        )
    return Jobs(file, found)


def show(jobs: Jobs) -> None:
    """Print what would be sent; the last line is the first message itself."""
    count, first = jobs.survey.count - jobs.survey.repeated, next(jobs.file.jobs())
    screen.say(f"{jobs.file.groups_path}: {several(count, 'job')}; nothing was sent.")
    screen.say(f"The first is {first.name} (id {first.id}):")
    screen.say(first.body)


def to_live_run(aws: AWS, config: Config, jobs: Jobs, *, again: bool, missing: bool) -> Run:
    """Submit to the run that is set up, report what was sent, and return the run as it is then."""
    session.caller_identity(aws.sts)
    run = store.live(aws.s3, config.AWS_BUCKET, config.APP_NAME)
    project.say_changes(run, config)
    folder = config.project / STATE_FOLDER
    outcome = submit(aws, run, jobs, folder, again=again, missing=missing)
    report(outcome, run, jobs, again=again, missing=missing)
    return store.load(aws.s3, run.bucket, run.app_name, run.run_id)


def _typed(jobs: Jobs, *, again: bool, missing: bool) -> str:
    options = [name for name, given in (("--again", again), ("--missing", missing)) if given]
    return typed("submitJob", shlex.quote(str(jobs.file.path)), *options)


def report(
    outcome: Outcome, run: Run, jobs: Jobs, *, again: bool = False, missing: bool = False
) -> None:
    """Print what was and was not sent. Raise ExplainedError if SQS refused some jobs."""
    queue = run.queue_url.rsplit("/", 1)[-1]
    first_line = f"{several(outcome.sent, 'job')} sent to {queue}."
    outcome.report(first_line, _typed(jobs, again=again, missing=missing))


def submit(
    aws: AWS,
    run: Run,
    jobs: Jobs,
    state_folder: Path,
    *,
    again: bool = False,
    missing: bool = False,
) -> Outcome:
    """Send the jobs that this run does not have yet.

    `again` sends all of them as their next submission; `missing` leaves out those done in any
    earlier run too. `state_folder` has the lock against two commands at the same time. Raise
    ExplainedError if AWS fails in the middle (it says what was sent).
    """
    command = _typed(jobs, again=again, missing=missing)
    with Delivery(aws, run, state_folder, command) as delivery:
        known = _known(aws, run)
        done = Ids(states.finished_ids(aws.s3, run.bucket, run.app_name)) if missing else Ids()
        outcome = delivery.outcome
        outcome.in_file = jobs.survey.count
        delivery.begin(failed_jobs.read_for_good(aws.s3, run) if again else (), again=again)
        _snapshot(aws, delivery.run, jobs.file)

        def chosen(advance: screen.Advance) -> Iterator[tuple[Job, int]]:
            for job in _each_once(jobs, advance):
                number = _submission_number(job, known, done, outcome, again=again)
                if number:
                    yield job, number
                else:
                    delivery.retire(job, known.submissions[int(job.id, 16)])

        with screen.progress("Submitting", jobs.survey.count) as advance:
            delivery.send(chosen(advance))
    return outcome


def _known(aws: AWS, run: Run) -> Known:
    keys = map(submissions.parse_part, submissions.parts(aws.s3, run))
    total = sum(key.new + key.again for key in keys)
    with screen.progress("Reading what was submitted before", total) as advance:
        return submissions.known(aws.s3, run, advance)


def _each_once(jobs: Jobs, advance: screen.Advance) -> Iterator[Job]:
    seen: set[int] = set()
    for number, job in enumerate(jobs.file.jobs(), start=1):
        if number % 100 == 0:
            advance(100)
        job_id = int(job.id, 16)
        if job_id in jobs.survey.repeated_ids:
            if job_id in seen:
                continue
            seen.add(job_id)
        yield job


def _submission_number(job: Job, known: Known, done: Ids, outcome: Outcome, *, again: bool) -> int:
    """Return the number of the submission by which this job is sent now; 0 if it is not."""
    job_id = int(job.id, 16)
    last = known.submissions[job_id]
    if job_id in done:
        outcome.done_before += 1
    elif last and not again:
        outcome.already += 1
    elif job_id in known.sent_again:
        # This continues an interrupted --again.
        outcome.sent_before += 1
    else:
        outcome.same_name += not last and name_hash(job.name) in known.names
        return last + 1
    return 0


def _snapshot(aws: AWS, run: Run, file: JobFile) -> None:
    """Keep the job file with the run: exactly what was submitted."""
    for path in {file.path, file.groups_path}:
        key = f"{run.prefix}snapshot/{run.submissions:04d}-{path.name}"
        with path.open("rb") as content:
            aws.s3.put_object(Bucket=run.bucket, Key=key, Body=content)
