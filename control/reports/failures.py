"""The failed jobs of a run, grouped by reason: as lines, JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from control import screen
from control.command import typed
from control.errors import ExplainedError
from control.records import attempts, failed_jobs, failure_groups, states
from control.records.job_objects import read
from control.text import format_minute, several

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.model import JobCounts, Run
    from control.records.failure_groups import Group, Record

# Returns where the log of a record's job is: a file, or what to type.
LogOf = Callable[[failure_groups.Record], str]
FOR_GOOD, TRYING = "failed for good", "to be tried again"
# At most this many attempts are read of the jobs that will be tried again.
_MOST_TRYING = 2000
# How many other jobs of a group are named, and how many last lines are shown.
_NAMED, LINES = 2, 3
# As many as a record has (last_lines in documentation/contract.md).
RECORDED_LINES = 30
# In --json and --csv, in this order; a record's own fields, but for the first two.
_FIELDS = (
    *("job_name", "job_id", "state", "cause", "reason", "submission", "receive", "attempt"),
    *("attempts_allowed", "exit_code", "signal", "started", "ended", "machine", "machine_type"),
)


def by_verb(run_id: str = "") -> LogOf:
    """Return the command that shows a job's log; run_id names a run other than the newest."""
    option = ["--run", run_id] if run_id else []
    return lambda record: typed("logs", record["job_name"], *option)


@dataclass(frozen=True)
class Failures:
    """The failed jobs of a run: their records, and the last attempts of those to be tried again.

    `trying` is how many are to be tried again; of very many not all are read.
    """

    counts: JobCounts
    for_good: list[Record]
    trying: int
    attempts: list[Record]


def find(s3: S3Client, run: Run, lines: int = LINES) -> Failures:
    """Read the failed jobs, each with this many of its last lines."""
    counts = states.count(s3, run)
    failed = failed_jobs.find(s3, run)
    trying = sorted(failed.retrying)
    some = trying[:: max(1, len(trying) // _MOST_TRYING)][:_MOST_TRYING]
    with screen.progress("Reading the failed jobs", len(failed.for_good) + len(some)) as advance:

        def records(keys: Sequence[str]) -> list[Record]:
            found = read(s3, run, keys, advance)
            return [_shortened(one.record, lines) for one in found if one.record]

        return Failures(counts, records(failed.for_good), len(trying), records(some))


def _shortened(record: dict[str, Any], lines: int) -> Record:
    """Return it with this many of its last lines, without its log and what a terminal obeys."""
    return {
        **{name: value for name, value in record.items() if name != "log"},
        "reason": screen.printable(record["reason"]),
        "last_lines": [screen.printable(line) for line in record["last_lines"][-lines:]],
    }


def in_words(found: Failures, log: LogOf, *, all_jobs: bool = False) -> Iterator[str]:
    """Yield the lines to print; `log` returns where the log of a job is."""
    counts = found.counts
    number = len(found.for_good)
    if not number and not found.trying:
        yield (
            f"No job has failed: {counts.in_words()}, of {several(counts.submitted, 'job')}."
            if counts.submitted
            else "No job has failed, for none has been submitted."
        )
        return
    groups = failure_groups.groups(found.for_good)
    if number:
        yield (
            f"{number:,} of {several(counts.submitted, 'job')} failed for good, "
            f"for {several(len(groups), 'reason')}:"
        )
    for group in groups:
        yield from _group(group, log, all_jobs, is_for_good=True)
    if found.trying:
        read = len(found.attempts)
        seen = "" if read == found.trying else f" (of {read:,} of them:)"
        yield ""
        yield f"{several(found.trying, 'job')} failed once or more and will be tried again{seen}:"
        for group in failure_groups.groups(found.attempts):
            yield from _group(group, log, all_jobs, is_for_good=False)


def _group(group: Group, log: LogOf, all_jobs: bool, *, is_for_good: bool) -> Iterator[str]:
    first = group.records[0]
    yield ""
    yield f"{several(len(group.records), 'job')}: {group.reason}"
    if all_jobs:
        yield from (f"  {_one(record, is_for_good)}" for record in group.records)
        return
    yield f"  {_one(first, is_for_good)}"
    if first["reason"] != group.reason:
        yield f"    {first['reason']}"
    yield from (screen.cut(f"    | {line}") for line in first["last_lines"])
    yield f"    log: {log(first)}"
    also = [record["job_name"] for record in group.records[1 : 1 + _NAMED]]
    rest = len(group.records) - 1 - len(also)
    if also:
        yield f"  also {', '.join(also)}{f' and {rest:,} more' if rest else ''}"


def _one(record: Record, is_for_good: bool) -> str:
    machine = f"{record['machine']} ({record['machine_type']})".removesuffix(" ()")
    ended = format_minute(record["ended"])
    numbers = (record[name] for name in ("submission", "receive", "attempt", "attempts_allowed"))
    attempt = attempts.in_words(*numbers, for_good=is_for_good)
    return f"{record['job_name']}: {attempt}, {ended}, {machine}"


def as_json(found: Failures, run: Run) -> dict[str, Any]:
    """Return what `failures --json` prints, as documentation/json.md describes it."""
    both = ((FOR_GOOD, found.for_good), (TRYING, found.attempts))
    return {
        "app_name": run.app_name,
        "run_id": run.run_id,
        "submitted": found.counts.submitted,
        "failed_for_good": len(found.for_good),
        "to_be_tried_again": found.trying,
        "groups": [
            {
                "state": state,
                "cause": group.cause,
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
    """Return a table with a row for each job."""
    text = io.StringIO()
    table = csv.DictWriter(text, [*_FIELDS, "log", "last_line"], lineterminator="\n")
    table.writeheader()
    for state, some in ((FOR_GOOD, found.for_good), (TRYING, found.attempts)):
        for record in some:
            last = {"last_line": "".join(record["last_lines"][-1:])}
            table.writerow({**_fields(record, state, run), **last})
    return text.getvalue()


def _fields(record: Record, state: str, run: Run) -> dict[str, Any]:
    log = f"s3://{run.bucket}/{record['log_key']}" if record["log_key"] else ""
    return {**{name: record[name] for name in _FIELDS}, "state": state, "log": log}


def say_why(s3: S3Client, run: Run, counts: JobCounts, log: LogOf) -> None:
    """Print why jobs failed, if any did; `log` returns where the log of a job is."""
    if counts.failed:
        for line in in_words(find(s3, run), log):
            screen.say(line)


def raise_for_failed(counts: JobCounts, fix: str) -> None:
    """Raise ExplainedError if any job failed; `fix` is what to do then."""
    if not counts.failed:
        return
    raise ExplainedError(f"{counts.failed:,} of {several(counts.submitted, 'job')} failed.", fix)
