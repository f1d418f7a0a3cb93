"""failures: the failed jobs, grouped by reason."""

from __future__ import annotations

import csv
import functools
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from control import cli, screen
from control.errors import ExplainedError, UserError
from control.records import attempts, failed_jobs, failure_groups, states, store, submissions
from control.records.failure_groups import Group
from control.text import format_minute, several
from control.user_files import job_file
from control.user_files.job import order_of_name
from control.verbs import next_command, project

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.model import JobCounts, Run
    from control.records.failure_groups import Record

# Where the log of a record's job is: a file, or what to type.
LogOf = Callable[[failure_groups.Record], str]

GIVEN_UP, TRYING = "given up", "to be tried again"

# Of the jobs that will be tried again, so many are read: each may fail for a reason that passes.
_MOST_TRYING = 2000

_NAMED, _LINES = 2, 3

# As many as a record holds (the contract's last_lines).
_RECORDED_LINES = 30

# In --json and --csv, in this order; a record's own fields, but for the first two.
_FIELDS = (
    *("job_name", "job_id", "state", "reason", "submission", "receive", "attempt"),
    *("attempts_allowed", "exit_code", "signal", "started", "ended", "machine", "machine_type"),
)


@cli.command("failures", example="failures")
@click.option("--all", "form", flag_value="all", help="every failed job, not only examples")
@click.option("--json", "form", flag_value="json", help="see documentation/json.md")
@click.option("--csv", "form", flag_value="csv", help="a table with a row for each job")
@click.option(
    "--job-file",
    type=Path,
    metavar="OUT",
    help="write a job file of those that failed for good",
)
@cli.run_option
def command(where: Path, form: str | None, job_file: Path | None, run_id: str) -> None:
    """Show which jobs failed, and why."""
    config, aws, run = project.find_run(where, run_id)
    newest = store.latest(aws.s3, config.AWS_BUCKET, config.APP_NAME)
    show(
        aws.s3,
        run,
        form=form or "",
        job_file=job_file,
        then=functools.partial(next_command.after_failures, run, newest),
        earlier=run.run_id != newest.run_id,
    )


def show(
    s3: S3Client,
    run: Run,
    *,
    form: str = "",
    job_file: Path | None = None,
    then: Callable[[Sequence[Path]], str] = lambda _: "retry",
    earlier: bool = False,
) -> None:
    """Print the failed jobs: in words, with "all" of them, as "json" or "csv". With `job_file`
    write one of those given up, too. `then` gives the verb to type next, of the job files written.
    `earlier`: it is not the newest run.
    """
    if job_file is not None and job_file.exists():
        raise UserError(f"{job_file} exists already.", "Name a file that does not exist.")
    with screen.beside_an_answer():
        found = find(s3, run, lines=_RECORDED_LINES if form == "json" else _LINES)
        _answer(found, run, by_verb(run.run_id if earlier else ""), form)
        if not found.given_up:
            return
        written = write_job_files(s3, run, found.given_up, job_file) if job_file else []
        for path in written:
            screen.say(f"Written: {path}")
        screen.next_command(f"python run.py {then(written)}")


def _answer(found: Failures, run: Run, log: LogOf, form: str) -> None:
    if form == "json":
        screen.answer(json.dumps(as_json(found, run), indent=1, ensure_ascii=False))
    elif form == "csv":
        screen.answer(as_csv(found, run).rstrip("\n"))
    else:
        for line in in_words(found, log, all_jobs=form == "all"):
            screen.answer_in_words(line)


def by_verb(run_id: str = "") -> LogOf:
    """The command that shows a job's log, of another run than the newest if one is named."""
    option = f" --run {run_id}" if run_id else ""
    return lambda record: f"python run.py logs {record['job_name']}{option}"


@dataclass(frozen=True)
class Failures:
    """The failed jobs of a run: their records, and the last attempts of those to be tried again.

    `trying` is how many the latter are; of very many not all are read.
    """

    counts: JobCounts
    given_up: list[Record]
    trying: int
    attempts: list[Record]


def find(s3: S3Client, run: Run, lines: int = _LINES) -> Failures:
    """Read what failed, each with so many of its last lines."""
    counts = states.count(s3, run)
    failed = failed_jobs.find(s3, run)
    keys = [failed_jobs.record_key(run, job_id) for job_id in failed.given_up]
    trying = sorted(failed.trying)[:: max(1, len(failed.trying) // _MOST_TRYING)][:_MOST_TRYING]
    more = [failed_jobs.attempt_key(run, job_id, *failed.trying[job_id]) for job_id in trying]
    with screen.progress("Reading the failed jobs", len(keys) + len(more)) as advance:
        read = [_shortened(one.record, lines) for one in failed_jobs.read(s3, run, keys, advance)]
        tried = [_shortened(one.record, lines) for one in failed_jobs.read(s3, run, more, advance)]
    return Failures(counts, read, len(failed.trying), tried)


def _shortened(record: dict[str, Any], lines: int) -> Record:
    """With so many of its last lines, and without what a terminal would obey."""
    return {
        **record,
        "reason": screen.printable(record["reason"]),
        "last_lines": [screen.printable(line) for line in record["last_lines"][-lines:]],
    }


def in_words(found: Failures, log: LogOf, *, all_jobs: bool = False) -> Iterator[str]:
    """The lines to be printed; `log` says where the log of a job is."""
    counts = found.counts
    number = len(found.given_up)
    if not number and not found.trying:
        yield (
            f"No job has failed: {counts.in_words()}, of {several(counts.submitted, 'job')}."
            if counts.submitted
            else "No job has failed, for none has been submitted."
        )
        return
    groups = failure_groups.groups(found.given_up)
    if number:
        yield (
            f"{number:,} of {several(counts.submitted, 'job')} failed for good, "
            f"for {several(len(groups), 'reason')}:"
        )
    for group in groups:
        yield from _group(group, log, all_jobs, is_given_up=True)
    if found.trying:
        read = len(found.attempts)
        seen = "" if read == found.trying else f" (of {read:,} of them:)"
        yield ""
        yield f"{several(found.trying, 'job')} failed once or more and will be tried again{seen}:"
        for group in failure_groups.groups(found.attempts):
            yield from _group(group, log, all_jobs, is_given_up=False)


def _group(group: Group, log: LogOf, all_jobs: bool, *, is_given_up: bool) -> Iterator[str]:
    first = group.records[0]
    yield ""
    yield f"{several(len(group.records), 'job')}: {group.reason}"
    if all_jobs:
        yield from (f"  {_one(record, is_given_up)}" for record in group.records)
        return
    yield f"  {_one(first, is_given_up)}"
    if first["reason"] != group.reason:
        yield f"    {first['reason']}"
    yield from (screen.cut(f"    | {line}") for line in first["last_lines"])
    yield f"    log: {log(first)}"
    also = [record["job_name"] for record in group.records[1 : 1 + _NAMED]]
    rest = len(group.records) - 1 - len(also)
    if also:
        yield f"  also {', '.join(also)}{f' and {rest:,} more' if rest else ''}"


def _one(record: Record, is_given_up: bool) -> str:
    machine = f"{record['machine']} ({record['machine_type']})".removesuffix(" ()")
    ended = format_minute(record["ended"])
    numbers = (record[name] for name in ("submission", "receive", "attempt", "attempts_allowed"))
    attempt = attempts.in_words(*numbers, is_given_up=is_given_up)
    return f"{record['job_name']}: {attempt}, {ended}, {machine}"


def as_json(found: Failures, run: Run) -> dict[str, Any]:
    """What `--json` prints: documentation/json.md."""
    both = ((GIVEN_UP, found.given_up), (TRYING, found.attempts))
    return {
        "app_name": run.app_name,
        "run_id": run.run_id,
        "submitted": found.counts.submitted,
        "given_up": len(found.given_up),
        "to_be_tried_again": found.trying,
        "groups": [
            {
                "state": state,
                "reason": group.reason,
                "jobs": len(group.records),
                "examples": [record["job_name"] for record in group.records[: 1 + _NAMED]],
            }
            for state, some in both
            for group in failure_groups.groups(some)
        ],
        "jobs": [
            {**_fields(record, state, run), "last_lines": record["last_lines"]}
            for state, some in both
            for record in some
        ],
    }


def as_csv(found: Failures, run: Run) -> str:
    """A table with a row for each job."""
    text = io.StringIO()
    table = csv.DictWriter(text, [*_FIELDS, "log", "last_line"], lineterminator="\n")
    table.writeheader()
    for state, some in ((GIVEN_UP, found.given_up), (TRYING, found.attempts)):
        for record in some:
            last = {"last_line": "".join(record["last_lines"][-1:])}
            table.writerow({**_fields(record, state, run), **last})
    return text.getvalue()


def _fields(record: Record, state: str, run: Run) -> dict[str, Any]:
    log = f"s3://{run.bucket}/{record['log_key']}" if record["log_key"] else ""
    return {**{name: record[name] for name in _FIELDS}, "state": state, "log": log}


def write_job_files(s3: S3Client, run: Run, given_up: Sequence[Record], out: Path) -> list[Path]:
    """Job files of exactly these jobs, with the same ids and names; returns where they are.

    One file, unless jobs of different job files failed, which share other values. Raises
    ExplainedError if a job was not submitted by this run's submitJob: nobody knows its values.
    """
    wanted = {int(record["job_id"], 16) for record in given_up}
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


def say_why(s3: S3Client, run: Run, counts: JobCounts, log: LogOf) -> None:
    """Say why jobs failed, if any did; `log` says where the log of a job is."""
    if counts.failed:
        for line in in_words(find(s3, run), log):
            screen.say(line)


def raise_for_failed(counts: JobCounts, fix: str) -> None:
    """Raise ExplainedError if any job failed; `fix` is what to do then."""
    if not counts.failed:
        return
    raise ExplainedError(f"{counts.failed:,} of {several(counts.submitted, 'job')} failed.", fix)
