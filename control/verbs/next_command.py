"""The next command to type."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from control import cli, screen
from control.aws import fleet
from control.command import typed
from control.errors import UserError
from control.records import states
from control.text import several

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.model import JobCounts, Run


def next_verb(aws: AWS, run: Run | None, fleet_file: str = cli.FLEET) -> str:
    """Return the next command: setup, submitJob, startCluster or monitor."""
    if run is None or run.ended or not run.queue_url:
        return typed("setup")
    if not run.submissions:
        return typed("submitJob", cli.JOBS)
    if any(fleet.has_machines(one.state) for one in _fleets(aws, run)):
        return to_watch()
    return after_stop(run, states.count(aws.s3, run), fleet_file)


def after_stop(run: Run, counts: JobCounts, fleet_file: str = cli.FLEET) -> str:
    """Return the next command where no machine runs."""
    if counts.unfinished:
        return typed("startCluster", fleet_file)
    if counts.failed:
        return why_failed()
    ends = f"{typed('monitor')}   (ends what still exists), or " if run.fleets else ""
    return ends + typed("submitJob", cli.JOBS)


def why_failed() -> str:
    """Return the next command after jobs have failed."""
    return f"{typed('failures')}   (shows why; then retry sends those jobs again)"


def to_watch() -> str:
    """Return the next command while jobs run."""
    return f"{typed('monitor')}, or {typed('status', '--watch')}"


def after_the_end(jobs: JobCounts) -> str:
    """Return the next command for a run that has ended."""
    if jobs.failed:
        return why_failed()
    if jobs.unfinished:
        return f"{typed('retry')}   (sends the jobs again that have no record)"
    return f"{typed('report')}   (what it did and cost), or {typed('setup')} for a new run"


def _fleets(aws: AWS, run: Run) -> list[fleet.FleetState]:
    return fleet.describe(aws.ec2, fleet.of_run(aws.ec2, run)) if run.fleets else []


def say_left_behind(aws: AWS, before: Run) -> None:
    """Say which jobs of the run before did not succeed: retry does not know them any longer."""
    counts = states.count(aws.s3, before)
    left = counts.unfinished
    if not counts.failed and not left:
        return
    failed = [f"{several(counts.failed, 'job')} failed"] if counts.failed else []
    lost = [f"{several(left, 'job')} did not end"] if left else []
    screen.say(
        f"In the last run, {before.run_id}, {' and '.join(failed + lost)}. To run them in "
        f"this one: {typed('submitJob', 'JOBFILE --missing')}"
    )


def refuse_earlier(asked: Run, newest: Run) -> None:
    """Raise UserError if the run is not the newest, whose queue and machines all verbs use."""
    if asked.run_id != newest.run_id:
        sends = _by_file([Path("failed.json")], newest)
        raise UserError(
            f"retry sends jobs of the newest run only, {newest.run_id}; {asked.run_id} is an "
            "earlier one.",
            f"Make them jobs of the newest: {_job_file(asked)}, then: {' and '.join(sends)}",
        )


def after_failures(run: Run, newest: Run, written: Sequence[Path]) -> str:
    """Return the next command after `failures`, which has written these job files, if any."""
    if run.run_id == newest.run_id:
        return f"{typed('retry')}   (after the fix: sends those again that failed for good)"
    sends = _by_file(written or [Path("failed.json")], newest)
    if not written:
        then = ", then ".join(sends)
        return f"{_job_file(run)}   (then {then}: retry is for the newest run)"
    first, *more = sends
    return f"{first}   (then {', then '.join(more)})" if more else first


def _job_file(run: Run) -> str:
    return typed("failures", f"--run {run.run_id} --job-file failed.json")


def _by_file(paths: Sequence[Path], newest: Run) -> list[str]:
    """Return the commands that send the jobs of files: to the newest run, or else to a new one."""
    begin = [typed("setup")] if newest.ended else []
    return begin + [typed("submitJob", shlex.quote(str(path))) for path in paths]
