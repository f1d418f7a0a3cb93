"""failures: the failed jobs, grouped by reason."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from control import cli, screen
from control.errors import ExplainedError, UserError
from control.records import store, submissions
from control.reports import failures
from control.text import several
from control.user_files import job_file
from control.user_files.job import order_of_name
from control.verbs import next_command, project

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.model import Run
    from control.records.failure_groups import Record


@cli.command("failures", example="failures")
@click.option("--all", "form", flag_value="all", help="every failed job, not only examples")
@click.option("--json", "form", flag_value="json", help="see documentation/json.md")
@click.option("--csv", "form", flag_value="csv", help="a table with a row for each job")
@click.option(
    "--job-file",
    "out",
    type=Path,
    metavar="OUT",
    help="write a job file of those that failed for good",
)
@cli.run_option
def command(where: Path, form: str | None, out: Path | None, run_id: str) -> None:
    """Show which jobs failed, and why."""
    config, aws, run = project.find_run(where, run_id)
    newest = store.latest(aws.s3, config.AWS_BUCKET, config.APP_NAME)
    show(aws.s3, run, newest, form=form or "", out=out)


def show(s3: S3Client, run: Run, newest: Run, *, form: str = "", out: Path | None = None) -> None:
    """Print the failed jobs of `run`: in words, with "all" of them, as "json" or "csv".

    With `out`, write a job file of those that failed for good, too.
    """
    if out is not None and out.exists():
        raise UserError(f"{out} exists already.", "Name a file that does not exist.")
    with screen.beside_an_answer():
        lines = failures.RECORDED_LINES if form == "json" else failures.LINES
        found = failures.find(s3, run, lines)
        if form == "json":
            content = failures.as_json(found, run)
            screen.answer(json.dumps(content, indent=1, ensure_ascii=False))
        elif form == "csv":
            screen.answer(failures.as_csv(found, run).rstrip("\n"))
        else:
            log = failures.by_verb("" if run.run_id == newest.run_id else run.run_id)
            for line in failures.in_words(found, log, all_jobs=form == "all"):
                screen.answer_in_words(line)
        if found.for_good:
            written = write_job_files(s3, run, found.for_good, out) if out else []
            for path in written:
                screen.say(f"Written: {path}")
            screen.next_command(next_command.after_failures(run, newest, written))


def write_job_files(s3: S3Client, run: Run, records: Sequence[Record], out: Path) -> list[Path]:
    """Write job files of exactly these jobs, with the same ids and names; return their paths.

    Jobs of different job files, which share other values, are in separate files. Raise
    ExplainedError if a job was not submitted by this run's submitJob: its values are unknown.
    """
    wanted = {int(record["job_id"], 16) for record in records}
    files: dict[str, tuple[Mapping[str, Any], list[dict[str, Any]]]] = {}
    order: list[str] = []
    with screen.progress("Reading the jobs", len(wanted)) as advance:
        for job, _ in submissions.last_of(s3, run, wanted.__contains__):
            shared = json.loads(job.body)
            group = shared.pop("group")
            order = order_of_name(group, job, order)
            _, groups = files.setdefault(json.dumps(shared), (shared, []))
            groups.append({key: group[key] for key in order})
            advance(1)
    if sum(len(groups) for _, groups in files.values()) < len(wanted):
        raise ExplainedError(
            f"Of {several(len(wanted), 'failed job')} not all were sent by submitJob, so their "
            "values are not on record.",
            "Look for them in the dead-letter queue, in the AWS console (SQS).",
        )
    paths = [out, *(out.with_name(f"{out.stem}-{n}{out.suffix}") for n in range(2, 1 + len(files)))]
    written = list(zip(paths, files.values(), strict=False))
    for path, (shared, groups) in written:
        job_file.write(path, shared, groups)
    return [path for path, _ in written]
